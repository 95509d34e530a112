import type { CloudContext, ClusterRef, Instance } from "../../../core/ports/cloud.ts";
import type { Runner } from "../../../core/ports/runner.ts";
import type { Clock } from "../../../shared/clock.ts";
import { OperationFailedError } from "../../../shared/errors.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { expandPath, variable } from "../auth/environment.ts";
import type { RegionOpener } from "../nodes/open-region.ts";
import type { Region } from "../nodes/region.ts";
import { AwsAuthError } from "../errors.ts";
import type { NodeSettings } from "../nodes/settings.ts";
import { Agents } from "./agents.ts";
import { Door } from "./door.ts";
import { pluginCommand, proxyCommandLine, requirePlugin } from "./proxy-command.ts";
import { awaitAgent } from "./readiness.ts";
import { resumeSession, startSession, terminateSession, type SessionPlace } from "./streams.ts";

/** One question at the door may take this long; ssh waits no longer than ten seconds. */
const QUESTION_MS = 9_000;
/** Instances whose callers are remembered. */
const MAX_ADMITTED = 10_000;

export interface SsmWayOptions {
  readonly auth: AwsAuth;
  readonly clock: Clock;
  readonly opener: RegionOpener;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the socket at which proxies ask for sessions. */
  readonly doorPath: string;
  /** The `sky` program, as ssh calls it. */
  readonly skyProgram: readonly string[];
}

/** As whom sessions with an instance are started: who asked last for a way to it. */
type Caller = Pick<CloudContext, "workspace" | "config" | "env">;

/** A node that is to be reached, with what is needed to find out whether it can be. */
export interface SsmNode {
  readonly instance: Instance;
  readonly cluster: ClusterRef;
  readonly context: CloudContext;
  /** Until then its agent may still be starting. */
  readonly bootedAtMs: number;
}

/** The way to nodes through Session Manager. */
export class SsmWay {
  readonly #options: SsmWayOptions;
  readonly #door: Door;
  readonly #agents = new Agents();
  readonly #callers = new Map<string, readonly Caller[]>();
  /** Instances whose agents were online since their last start. */
  readonly #ready = new Set<string>();

  constructor(options: SsmWayOptions) {
    this.#options = options;
    this.#door = new Door(options.doorPath, {
      start: (instance, region) => this.#withPlace(instance, region, startSession),
      resume: (instance, region, id) => this.#withPlace(instance, region, (place) => resumeSession(id, place)),
      end: (instance, region, id) => this.#withPlace(instance, region, (place) => terminateSession(id, place)),
    });
  }

  /** Throws NotSupportedError when the settings want programs that are not there. */
  check(settings: Pick<NodeSettings, "usesSsm" | "ssmMode">): void {
    if (settings.usesSsm && settings.ssmMode === "plugin") requirePlugin(this.#options.env);
  }

  /** ssh's ProxyCommand for the API server's own connections to a node. */
  proxyCommand({ instance, cluster, context }: SsmNode, settings: Pick<NodeSettings, "ssmMode">): string {
    if (settings.ssmMode === "plugin") return pluginCommand(instance.id, cluster.region, this.#profileOf(context));
    this.admit(instance.id, context);
    const { skyProgram } = this.#options;
    const place = ["--door", this.#door.path, "--region", cluster.region, instance.id];
    return proxyCommandLine([...skyProgram, "aws", "ssm-proxy", ...place]);
  }

  /** Lets proxies ask for sessions with an instance, as this caller. Resolves with the socket's path. */
  async openDoor(instance: string, context: CloudContext): Promise<string> {
    this.admit(instance, context);
    await this.#door.open();
    return this.#door.path;
  }

  /** The last caller with variables of its own is kept beside the server itself, which may have no credentials. */
  admit(instance: string, { workspace, config, env }: CloudContext): void {
    const hasOwn = Object.keys(env).length > 0;
    const others = (this.#callers.get(instance) ?? []).filter((each) => Object.keys(each.env).length > 0 !== hasOwn);
    this.#callers.delete(instance);
    this.#callers.set(instance, [{ workspace, config, env }, ...others]);
    const [oldest] = this.#callers.keys();
    if (this.#callers.size > MAX_ADMITTED && oldest !== undefined) this.#callers.delete(oldest);
  }

  /** The runner, which first waits for the node's agent to be online. */
  guard(runner: Runner, node: SsmNode): Runner {
    const ready = (signal: AbortSignal | undefined): Promise<void> => this.#awaitReady(node, signal);
    return {
      run: async (argv, options) => {
        await ready(options?.signal);
        return runner.run(argv, options);
      },
      startAgent: async (plan, options) => {
        await ready(options?.signal);
        return runner.startAgent(plan, options);
      },
      connectAgent: async (root, options) => {
        await ready(options?.signal);
        return runner.connectAgent(root, options);
      },
      close: () => runner.close(),
    };
  }

  async #awaitReady(node: SsmNode, signal = node.context.signal): Promise<void> {
    await this.#door.open();
    const { instance, cluster, context, bootedAtMs } = node;
    const key = `${instance.id} ${instance.startedAtMs ?? 0}`;
    if (this.#ready.has(key)) return;
    const region = await this.#openRegion(cluster.region, { ...context, signal });
    if (region === undefined) return;
    await awaitAgent(region, instance, { agents: this.#agents, deadlineMs: bootedAtMs });
    this.#ready.add(key);
  }

  /** Undefined when the caller has no credentials to look with: somebody else's may do for the session. */
  async #openRegion(name: string, context: CloudContext): Promise<Region | undefined> {
    try {
      return await this.#options.opener.open(name, context);
    } catch (error) {
      if (error instanceof AwsAuthError) return undefined;
      throw error;
    }
  }

  #profileOf(context: CloudContext): string | undefined {
    return this.#options.auth.open(context).profile;
  }

  async #withPlace<T>(instance: string, region: string, call: (place: SessionPlace) => Promise<T>): Promise<T> {
    const [caller, other] = this.#callers.get(instance) ?? [];
    if (caller === undefined) throw new OperationFailedError(`Nobody has asked this API server for ${instance} yet.`);
    try {
      return await call(this.#placeFor(caller, instance, region));
    } catch (error) {
      if (!(error instanceof AwsAuthError) || other === undefined) throw error;
      return call(this.#placeFor(other, instance, region));
    }
  }

  #placeFor(caller: Caller, instance: string, region: string): SessionPlace {
    const { auth, clock } = this.#options;
    const signal = AbortSignal.timeout(QUESTION_MS);
    const environment = auth.environmentOf(caller);
    const bundle = variable(environment, "AWS_CA_BUNDLE");
    const caFile = bundle === undefined ? undefined : expandPath(bundle, environment);
    const { session } = auth.open({ ...caller, signal });
    return { session, caFile, region, instance, nowMs: () => clock.now(), signal };
  }
}
