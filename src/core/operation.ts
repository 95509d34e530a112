import type { Kysely } from "kysely";
import type { Catalogs } from "../catalog/catalogs.ts";
import type { Clock } from "../shared/clock.ts";
import type { Database } from "../db/schema.ts";
import type { AgentPeer } from "../shared/agent/peer.ts";
import type { CloudRegistry } from "./ports/cloud.ts";
import type { StoreRegistry } from "./ports/object-store.ts";
import type { MountKeys } from "./storage/mount-keys.ts";
import type { Mounters } from "./storage/mounters.ts";

/** The operation's own log: what `/api/stream` sends. After a restart, lines that are in the file already are not written twice. */
export interface RequestLog {
  /** Writes one line (a newline is added). */
  line(text: string): void;
  /** Shows or changes the spinner that clients draw; markup such as `[bold cyan]Launching[/]` is allowed. */
  spin(message: string): void;
  /** Ends the spinner. */
  spinEnd(): void;
}

export interface Caller {
  readonly userId: string;
  readonly userName: string;
  readonly workspace: string;
}

/**
 * The only way to act on the world from the core. Journals the intent, acts, journals the result. After a crash a finished effect
 * answers from the journal; one that was only begun is done again, so `act` must be idempotent under `token`.
 */
export type Effect = <T>(name: string, act: (token: string) => Promise<T>) => Promise<T>;

/** What an operation may use. Everything it needs of the outside comes in here. */
export interface OperationContext {
  readonly requestId: string;
  readonly caller: Caller;
  readonly db: Kysely<Database>;
  readonly clouds: CloudRegistry;
  readonly stores: StoreRegistry;
  /** Keys of buckets that nodes have mounted. */
  readonly mountKeys: MountKeys;
  /** The program that mounts buckets, for nodes that have none. */
  readonly mounters: Mounters;
  /** Instance types and prices. */
  readonly catalogs: Catalogs;
  readonly clock: Clock;
  readonly log: RequestLog;
  /** Aborts when the request is cancelled or the server shuts down. */
  readonly signal: AbortSignal;
  readonly effect: Effect;
  /** Effective config: the server's file overlaid with the client's object. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Credentials-related variables that the client forwarded (local server only). */
  readonly clientEnv: Readonly<Record<string, string>>;
  /** Whether the client runs on this machine. */
  readonly isLocalClient?: boolean;
  /** `~/.sky/ts` of the server. */
  readonly stateDir: string;
  /** Maps a path of the client to one on this machine: itself for a local client, inside the uploaded blob for a remote one. */
  readonly resolveClientPath: (path: string) => string;
  /** All that is the client's is below it: `/` for a local client, the uploaded blob for a remote one. */
  readonly clientFilesTop: string;
  /** Long-lived connections to head agents, shared by all requests; made by core/agents/pool.ts. */
  readonly agents: AgentConnections;
  /** One writer per cluster; made once per server by core/clusters/lock.ts. */
  readonly locks: ClusterLocks;
  /** What an operation may do to its own and to other requests. */
  readonly requests: RequestControl;
  /** HOME of the server's user: `~/sky_logs`, `~/.sky/api_server/clients`. */
  readonly home: string;
  /** Path of the agent bundle (`dist/agent/agent.cjs`). */
  readonly agentBundle: string;
}

export interface AgentConnections {
  /** The connection to the cluster's head agent, opened when there is none. Rejects with AgentError when nobody answers. */
  connect(
    clusterName: string,
    options?: {
      /** How long to wait for an agent that is starting. */ readonly waitMs?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<AgentPeer>;
  /** Ends the connection and stops following the cluster, e.g. before its nodes are stopped. */
  drop(clusterName: string): void;
  close(): Promise<void>;
}

export interface ClusterLocks {
  /**
   * Resolves with the release function once this request is the cluster's only writer; first come, first served. `onBlocked`
   * is told whom it waits for. Rejects with the signal's reason.
   */
  acquire(
    clusterName: string,
    requestId: string,
    options?: { readonly onBlocked?: (holderRequestId: string) => void; readonly signal?: AbortSignal },
  ): Promise<() => void>;
  /** The same, but undefined at once when somebody else holds the cluster. */
  tryAcquire(clusterName: string, requestId: string): Promise<(() => void) | undefined>;
  /** The request that holds the cluster at this moment. */
  findHolder(clusterName: string): Promise<string | undefined>;
  /** Aborts, with an error that says so, when this server can no longer be sure that it holds the lock that it was given. */
  lossOf(clusterName: string): AbortSignal;
}

export interface RequestControl {
  /** Shown as WAITING with this text in `sky api status`; undefined ends the wait. */
  setWaiting(message: string | undefined): void;
  /** Cancels every other active request on the cluster and resolves with their ids once they have ended. */
  cancelOthers(clusterName: string): Promise<readonly string[]>;
}

export interface Operation<Body, Result> {
  /** Stable name in the requests table, e.g. `clusters.launch`. */
  readonly name: string;
  /** On the wire `sky.<wireName>`. */
  readonly wireName: string;
  readonly schedule: "long" | "short";
  /** Whether it goes on after a restart of the server; otherwise it ends with RequestInterruptedError. */
  readonly isResumable: boolean;
  run(body: Body, context: OperationContext): Promise<Result>;
}
