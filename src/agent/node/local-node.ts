import { join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { FlushParams, LendKeysParams } from "../../shared/agent/mounts.ts";
import type { ContainerSpec, FetchFile, FetchParams, FetchResult, LogFile } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { readChunk, tailFile } from "../logs/tail-file.ts";
import { containerDestination } from "../container/links.ts";
import { mountInside } from "../container/mount-inside.ts";
import type { NodeContainer } from "../container/node-container.ts";
import { fetchFiles } from "../sync/fetch-files.ts";
import { readSmall } from "../sync/fetch-ranges.ts";
import { openConnections, type HttpConnections } from "../sync/http-get.ts";
import type { NodeMounts } from "../mounts/node-mounts.ts";
import type { SshDoor } from "../ssh/ssh-door.ts";
import type { PartsInUse } from "../sync/large-files.ts";
import { beginSync } from "../sync/receive-files.ts";
import type { TaskRunner } from "../tasks/task-runner.ts";
import { jobOfTask, type TaskExit, type TaskSpec } from "../tasks/task-types.ts";
import type {
  ClusterNode,
  NodeConnection,
  NodeExec,
  NodeMountParams,
  NodeMountStates,
  NodeSync,
  NodeSyncParams,
} from "./cluster-node.ts";
import { execScript } from "./exec-script.ts";
import { listJobLogFiles, readToEnd, resolveInside } from "./log-files.ts";
import { expandHome } from "./paths.ts";

export interface LocalNodeOptions {
  readonly index: number;
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  readonly power: "leave" | "poweroff";
  readonly runner: TaskRunner;
  readonly clock: Clock;
  readonly container: NodeContainer;
  readonly sshDoor: SshDoor;
  readonly mounts: NodeMounts;
}

/** The node on which this agent runs. */
export class LocalNode implements ClusterNode {
  readonly index: number;
  readonly isAlive = true;
  readonly #options: LocalNodeOptions;
  readonly #partsInUse: PartsInUse = new Map();
  /** Files come in batches, which share the connections. */
  #connections: Promise<HttpConnections> | undefined;

  constructor(options: LocalNodeOptions) {
    this.index = options.index;
    this.#options = options;
  }

  async startTask(spec: TaskSpec): Promise<number> {
    await this.#options.mounts.ensureReady();
    return this.#options.runner.start(spec);
  }

  waitTask(id: string, { signal }: { readonly signal: AbortSignal }): Promise<TaskExit> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#options.runner
        .wait(id)
        .then(resolve, reject)
        .finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  killTask(id: string, graceMs: number): Promise<void> {
    return this.#options.runner.kill(id, graceMs);
  }

  tailTask(
    id: string,
    options: { readonly logPath: string; readonly offset: number; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array> {
    const { runner, clock, home } = this.#options;
    const { logPath, ...rest } = options;
    return tailFile(join(home, logPath), { ...rest, isOver: () => runner.isOver(id), over: runner.wait(id), clock });
  }

  readRange(path: string, from: number, to: number): Promise<Uint8Array | undefined> {
    const bytes = readChunk(join(this.#options.home, path), from, to - from);
    return Promise.resolve(bytes.length === to - from ? bytes : undefined);
  }

  async forgetJob(jobId: number): Promise<void> {
    const { runner } = this.#options;
    await Promise.all(
      runner
        .list()
        .filter((id) => jobOfTask(id) === jobId)
        .map((id) => runner.forget(id)),
    );
  }

  async listLogFiles(
    jobs: readonly { readonly jobId: number; readonly logDir: string }[],
  ): Promise<readonly LogFile[]> {
    return jobs.flatMap(({ jobId, logDir }) =>
      listJobLogFiles(jobId, this.index, expandHome(logDir, this.#options.home)),
    );
  }

  readFile(path: string, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const logs = join(this.#options.home, "sky_logs");
    const relative = path.startsWith("~/sky_logs/") ? path.slice("~/sky_logs/".length) : undefined;
    if (relative === undefined) throw new AgentPeerError("NOT_ALLOWED", `${path} is not a log file.`);
    return readToEnd(resolveInside(logs, relative), offset, signal);
  }

  exec(request: NodeExec): Promise<number> {
    const { container, ...options } = this.#options;
    const isInside = request.isForTasks === true && container.isUsed;
    return execScript(request, isInside ? { ...options, container } : options);
  }

  async openSsh(signal: AbortSignal): Promise<NodeConnection> {
    const { container, sshDoor } = this.#options;
    if (container.isUsed) await container.ensureRunning();
    return sshDoor.connect(signal);
  }

  prepareContainer(spec: ContainerSpec): Promise<void> {
    return this.#options.container.prepare(spec);
  }

  async mount(params: NodeMountParams): Promise<void> {
    const { container, mounts } = this.#options;
    if (container.isUsed) await mountInside(params, { container, mounts });
    else await mounts.mount(params);
  }

  async lendKeys(params: LendKeysParams): Promise<void> {
    this.#options.mounts.lend(params);
  }

  async mountStates(): Promise<NodeMountStates> {
    return this.#options.mounts.states();
  }

  flushMounts(params: FlushParams, signal: AbortSignal): Promise<void> {
    return this.#options.mounts.flush(params, signal);
  }

  /** What tasks have written and could not be sent in time, in sentences. */
  lastFlush(): Promise<readonly string[]> {
    return this.#options.mounts.lastFlush();
  }

  async sync(params: NodeSyncParams, _signal: AbortSignal): Promise<NodeSync> {
    const { home, power, container } = this.#options;
    const options = { home, mayUseSudo: power === "poweroff", partsInUse: this.#partsInUse };
    if (!container.isUsed || params.isForNode === true) return beginSync(params, options);
    const { dest, link } = containerDestination(params.dest);
    const receiver = await beginSync({ ...params, dest }, options);
    return {
      need: receiver.need,
      parts: receiver.parts,
      isDownload: receiver.isDownload ?? false,
      write: (block) => receiver.write(block),
      abort: (error) => receiver.abort(error),
      finish: async () => {
        await receiver.finish();
        if (link === undefined) return;
        await container.ensureRunning();
        await container.link(link);
      },
    };
  }

  /** All of a small file. Throws as `fetch`. */
  async download(file: FetchFile, signal: AbortSignal): Promise<Buffer> {
    this.#connections ??= openConnections();
    return readSmall({ file, signal, clock: this.#options.clock, connections: await this.#connections });
  }

  /** In a container the place that the destination leads to lies in what it mounts. */
  async fetch(wish: Omit<FetchParams, "key">, signal: AbortSignal): Promise<FetchResult> {
    const { home, power, clock, container } = this.#options;
    this.#connections ??= openConnections();
    const options = { home, mayUseSudo: power === "poweroff", clock, signal, connections: await this.#connections };
    if (!container.isUsed) return fetchFiles(wish, options);
    const { dest: mounted, link } = containerDestination(wish.dest);
    const result = await fetchFiles({ ...wish, dest: mounted }, options);
    if (link !== undefined) {
      await container.ensureRunning();
      await container.link(link);
    }
    return result;
  }
}
