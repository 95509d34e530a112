import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { processEnv, readVariable, type Env } from "../platform/env.ts";
import { homeOf } from "../platform/paths.ts";
import type { OrphanRecord } from "../shared/wire/orphans.ts";
import type { Plan } from "../shared/wire/plan.ts";
import type { JobStatus } from "../shared/agent/protocol.ts";
import { systemClock, type Clock } from "../shared/clock.ts";
import { ApiNamespace } from "./api-namespace.ts";
import { BudgetsNamespace } from "./budgets-namespace.ts";
import * as clusters from "./cluster-verbs.ts";
import { endpointSetting } from "./endpoint-setting.ts";
import { resolveEndpoint, type Endpoint } from "./endpoint.ts";
import { GpusNamespace } from "./gpus-namespace.ts";
import { JobsNamespace } from "./jobs-namespace.ts";
import type { LogStream } from "./log-stream.ts";
import * as logs from "./log-verbs.ts";
import type { WaitOptions } from "./operations.ts";
import { Request } from "./request.ts";
import { commonBody } from "./request-body.ts";
import { Session } from "./session.ts";
import { StorageNamespace } from "./storage-namespace.ts";
import type { TaskInput } from "./task-document.ts";
import type { CloudSession, ClusterHandle, ClusterRecord, CostRecord, JobRecord } from "./wire-types.ts";

/** The client's merged config, and the files that it came from. */
export interface ClientConfig {
  readonly value: Readonly<Record<string, unknown>>;
  /** User and project config file, null where there is none. */
  readonly paths: readonly (string | null)[];
}

export interface SkyClientOptions {
  /** URL of the API server; by default as the CLI finds it. */
  readonly endpoint?: string;
  /** Service account token (`sky_...`). */
  readonly token?: string;
  /** Config sent with every request, on top of nothing: config files are read by the CLI only unless given here. */
  readonly config?: ClientConfig;
  readonly env?: Env;
  readonly home?: string;
  readonly cwd?: string;
  readonly clock?: Clock;
  /** Where this package is installed; a local server is started from there. */
  readonly packageDir?: string;
  /** Shown as the command of what is launched. */
  readonly command?: string;
  readonly entrypoint?: string;
  /** Told what the client does on its own, such as starting a local server. */
  readonly notify?: (message: string) => void;
}

/** One API server, seen from a program. Nothing is sent before the first call; close it with `close()` or `await using`. */
export class SkyClient implements AsyncDisposable {
  readonly session: Session;
  readonly api: ApiNamespace;
  readonly jobs: JobsNamespace;
  readonly gpus: GpusNamespace;
  readonly storage: StorageNamespace;
  readonly budgets: BudgetsNamespace;
  readonly cwd: string;
  readonly #options: SkyClientOptions;

  constructor(options: SkyClientOptions = {}) {
    this.#options = options;
    const env = options.env ?? processEnv();
    const home = options.home ?? homeOf(env);
    this.cwd = options.cwd ?? process.cwd();
    this.session = new Session({
      endpoint: endpointOf(options, env),
      env,
      home,
      clock: options.clock ?? systemClock,
      packageDir: options.packageDir ?? dirname(fileURLToPath(import.meta.url)),
      token: tokenOf(options, env),
      notify: options.notify ?? (() => undefined),
    });
    this.api = new ApiNamespace(this);
    this.jobs = new JobsNamespace(this);
    this.gpus = new GpusNamespace(this);
    this.storage = new StorageNamespace(this);
    this.budgets = new BudgetsNamespace(this);
  }

  get endpoint(): Endpoint {
    return this.session.endpoint;
  }

  /** The fields that every operation's body has. */
  body(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const { env, home, endpoint } = this.session.options;
    const common = commonBody({
      env,
      home,
      local: endpoint.local,
      entrypoint: this.#options.entrypoint ?? "sky.client.sdk",
      entrypointCommand: this.#options.command ?? "",
      config: this.#options.config?.value ?? {},
      configPaths: this.#options.config?.paths ?? [null, null],
    });
    return { ...common, ...fields };
  }

  /** Runs a task on a new or existing cluster. */
  launch(task: TaskInput, options: clusters.LaunchOptions = {}): Request<clusters.LaunchOutcome> {
    return clusters.launch(this, task, options);
  }

  /** Queues a task on a cluster that is up. */
  exec(task: TaskInput, options: clusters.ExecOptions): Request<clusters.LaunchOutcome> {
    return clusters.exec(this, task, options);
  }

  /** Checks a task file without running it. Rejects with the error that a launch would give. */
  validate(task: TaskInput, options: clusters.ValidateOptions = {}): Promise<void> {
    return clusters.validate(this, task, options);
  }

  /**
   * Finds the cheapest place for the task; the table of candidates is in the request's log. A server of the original gives no
   * plan as data.
   */
  optimize(task: TaskInput, options: clusters.OptimizeOptions = {}): Request<Plan | null> {
    return clusters.optimize(this, task, options);
  }

  status(options: clusters.StatusOptions = {}): Request<readonly ClusterRecord[]> {
    return clusters.status(this, options);
  }

  start(cluster: string, options: clusters.StartOptions = {}): Request<ClusterHandle | null> {
    return clusters.start(this, cluster, options);
  }

  stop(cluster: string, options: clusters.StopOptions = {}): Request<null> {
    return clusters.stop(this, "/stop", cluster, options);
  }

  down(cluster: string, options: clusters.StopOptions = {}): Request<null> {
    return clusters.stop(this, "/down", cluster, options);
  }

  autostop(cluster: string, options: clusters.AutostopOptions): Request<null> {
    return clusters.autostop(this, cluster, options);
  }

  queue(cluster: string, options: clusters.QueueOptions = {}): Request<readonly JobRecord[]> {
    return clusters.queue(this, cluster, options);
  }

  /** The status of jobs by id; without ids, of the latest job. */
  jobStatus(
    cluster: string,
    jobIds?: readonly number[],
    options: WaitOptions = {},
  ): Request<ReadonlyMap<number, JobStatus | null>> {
    return clusters.jobStatus(this, cluster, { ...options, jobIds });
  }

  cancel(cluster: string, options: clusters.CancelOptions = {}): Request<null> {
    return clusters.cancel(this, cluster, options);
  }

  endpoints(cluster: string, port?: number, options: WaitOptions = {}): Request<ReadonlyMap<number, string>> {
    return clusters.endpoints(this, cluster, { ...options, port });
  }

  /** Clusters on the clouds that the server does not know; only our server can tell. */
  orphans(options: clusters.OrphansOptions = {}): Request<readonly OrphanRecord[]> {
    return clusters.orphans(this, options);
  }

  costReport(options: clusters.CostReportOptions = {}): Request<readonly CostRecord[]> {
    return clusters.costReport(this, options);
  }

  check(options: clusters.CheckOptions = {}): Request<clusters.EnabledInfra> {
    return clusters.check(this, options);
  }

  enabledClouds(options: clusters.EnabledCloudsOptions = {}): Request<readonly string[]> {
    return clusters.enabledClouds(this, options);
  }

  cloudSessions(options: WaitOptions = {}): Request<readonly CloudSession[]> {
    return clusters.cloudSessions(this, options);
  }

  /** The log of a job; without an id, of the latest one. */
  logs(cluster: string, jobId?: number, options: logs.LogOptions = {}): LogStream {
    return logs.jobLogs(this, cluster, { ...options, jobId });
  }

  provisionLogs(cluster: string, options: logs.ProvisionLogOptions = {}): LogStream {
    return logs.provisionLogs(this, cluster, options);
  }

  hookLogs(cluster: string, options: logs.HookLogOptions = {}): LogStream {
    return logs.hookLogs(this, cluster, options);
  }

  /** Downloads job logs; gives the local directory of each job. */
  downloadLogs(cluster: string, options: logs.DownloadOptions = {}): Promise<ReadonlyMap<string, string>> {
    return logs.downloadLogs(this, cluster, options);
  }

  /** Attaches to a request that another process sent. */
  request<T>(id: string, options: WaitOptions = {}): Request<T> {
    return new Request<T>({
      session: this.session,
      name: "sky.request",
      id: Promise.resolve(id),
      decode: (value) => value as T,
      ...options,
    });
  }

  /** Closes kept connections; requests on the server go on. */
  async close(): Promise<void> {
    await this.session.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function endpointOf(options: SkyClientOptions, env: Env): Endpoint {
  if (options.endpoint !== undefined)
    return resolveEndpoint({ ...env, SKYPILOT_API_SERVER_ENDPOINT: options.endpoint }, undefined);
  return resolveEndpoint(env, endpointSetting(options.config?.value ?? {}));
}

function tokenOf(options: SkyClientOptions, env: Env): string | undefined {
  return (
    options.token ??
    readVariable(env, "SKYPILOT_SERVICE_ACCOUNT_TOKEN") ??
    endpointSetting(options.config?.value ?? {}, "service_account_token")
  );
}
