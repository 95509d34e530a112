import type { Kysely } from "kysely";
import { findCluster, listClusters } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import { duplexOverStream } from "../../shared/agent/byte-duplex.ts";
import { isConnectionLoss } from "../../shared/agent/peer-error.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import type { AgentEvent, HelloResult } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { AgentError } from "../../shared/errors.ts";
import { clusterRef, toCluster, type Cluster } from "../clusters/cluster.ts";
import type { AgentConnections } from "../operation.ts";
import type { CloudRegistry } from "../ports/cloud.ts";
import { greet } from "../provision/renew.ts";
import { orAborted } from "../../shared/or-aborted.ts";
import { Slots } from "../../shared/slots.ts";

export interface AgentPoolOptions {
  readonly db: Kysely<Database>;
  readonly clouds: CloudRegistry;
  readonly clock: Clock;
  /** The server's own config, which may say how nodes are reached; empty when absent. */
  readonly config?: (() => Promise<Readonly<Record<string, unknown>>>) | undefined;
  /** What the head agent pushes, in order. Work given to `later` holds up no event, and is told when the server stops. */
  readonly onEvent: (clusterName: string, event: AgentEvent, later: Later) => Promise<void>;
  /**
   * The connection ended by itself, or cannot be made. Looks at the cluster and repairs what it can; answers whether it still runs, so
   * that connecting again makes sense. The signal aborts when the server stops.
   */
  readonly onLost: (clusterName: string, signal: AbortSignal) => Promise<boolean>;
  /**
   * Replaces the agents when they are of another release, before anybody talks to them. Once for each cluster, so that two
   * servers of different releases do not replace each other's agents for ever.
   */
  readonly renew?: (met: MetAgent) => Promise<AgentPeer>;
  /** A connection is there. Resolves with its end, or when there is nothing more to do over it. */
  readonly onConnected?: (clusterName: string, agent: AgentPeer) => Promise<void>;
  /** A bug or an outage in the background; the pool goes on. */
  readonly onError: (clusterName: string, error: unknown) => void;
}

export type Later = (work: (signal: AbortSignal) => Promise<void>) => void;

/** A head agent that this server talks to for the first time. */
export interface MetAgent {
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
  readonly hello: HelloResult;
  /** Connects to the agent that comes after. */
  readonly dialAgain: (waitMs: number | undefined) => Promise<AgentPeer>;
  readonly signal: AbortSignal;
}

interface Entry {
  readonly opening: Promise<AgentPeer>;
  peer: AgentPeer | undefined;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 30_000;
/** What could not be taken in, e.g. on a full disk, is asked for again after this. */
const EVENT_RETRY_MS = 1000;
/** Clusters that are connected to again at once. Requests do not wait for these: they connect by themselves. */
const RETURNS_AT_ONCE = 8;

/**
 * One connection per cluster to its head agent, opened on demand, followed and opened again while the cluster runs. It stays when nobody
 * uses it: it brings what must not wait for the next look (the cluster stops itself, a node or the agent is lost), and the look
 * of each minute goes over it, so closing it would only mean a new handshake each minute. Stopped and removed clusters have none.
 */
export class AgentPool implements AgentConnections {
  readonly #options: AgentPoolOptions;
  readonly #entries = new Map<string, Entry>();
  /** Clusters whose connection is being opened again, with how to give that up. */
  readonly #returning = new Map<string, AbortController>();
  /** Hashes of the clusters whose agents were compared with ours. */
  readonly #met = new Set<string>();
  readonly #slots = new Slots(RETURNS_AT_ONCE);
  readonly #background = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: AgentPoolOptions) {
    this.#options = options;
  }

  /** Takes up every cluster that is up, e.g. after a restart of the server. Returns at once. */
  async resume(): Promise<void> {
    const rows = await listClusters(this.#options.db, { statuses: ["UP", "AUTOSTOPPING"] });
    for (const row of rows) this.#comeBack(row.name);
  }

  async connect(
    clusterName: string,
    options: { readonly waitMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<AgentPeer> {
    options.signal?.throwIfAborted();
    const entry = this.#entries.get(clusterName);
    if (entry !== undefined && entry.peer?.isClosed !== true) {
      // A caller that can wait longer than whoever opens at this moment tries again by itself.
      const opened = options.signal === undefined ? entry.opening : orAborted(entry.opening, options.signal);
      const peer = await opened.catch((error: unknown) => {
        if (options.waitMs === undefined || !(error instanceof AgentError)) throw error;
        return undefined;
      });
      if (peer !== undefined) return peer;
    }
    const opening = this.#open(clusterName, options);
    const own: Entry = { opening, peer: undefined };
    this.#entries.set(clusterName, own);
    try {
      own.peer = await opening;
    } catch (error) {
      if (this.#entries.get(clusterName) === own) this.#entries.delete(clusterName);
      throw error;
    }
    this.#run(clusterName, this.#follow(clusterName, own.peer));
    const { onConnected } = this.#options;
    if (onConnected !== undefined) this.#run(clusterName, onConnected(clusterName, own.peer));
    return own.peer;
  }

  drop(clusterName: string): void {
    this.#returning.get(clusterName)?.abort();
    this.#returning.delete(clusterName);
    const entry = this.#entries.get(clusterName);
    this.#entries.delete(clusterName);
    entry?.peer?.close();
  }

  async close(): Promise<void> {
    this.#closing.abort(new AgentError("The server is shutting down."));
    for (const name of this.#entries.keys()) this.drop(name);
    await Promise.all(this.#background);
  }

  async #open(
    clusterName: string,
    options: { readonly waitMs?: number; readonly signal?: AbortSignal },
  ): Promise<AgentPeer> {
    const row = await findCluster(this.#options.db, clusterName);
    if (row === undefined) throw new AgentError(`Cluster '${clusterName}' does not exist.`);
    const cluster = toCluster(row);
    const { peer, hello } = await this.#greetHead(cluster, options);
    const { renew } = this.#options;
    if (renew === undefined || row.status !== "UP" || this.#met.has(row.cluster_hash)) return peer;
    this.#met.add(row.cluster_hash);
    const { signal } = this.#signal(options.signal);
    const dialAgain = async (waitMs: number | undefined): Promise<AgentPeer> => {
      const wait = { ...(waitMs === undefined ? {} : { waitMs }), signal };
      const { peer: next } = await this.#greetHead(cluster, wait).catch((error: unknown) => {
        // The agent that was told to end may still have taken the connection.
        if (!isConnectionLoss(error)) throw error;
        return this.#greetHead(cluster, wait);
      });
      return next;
    };
    return renew({ cluster, agent: peer, hello, dialAgain, signal });
  }

  async #greetHead(
    cluster: Cluster,
    options: { readonly waitMs?: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly peer: AgentPeer; readonly hello: HelloResult }> {
    const clusterName = cluster.row.name;
    const duplex = await this.#dial(cluster, options);
    const peer = new AgentPeer(duplexOverStream(duplex), { role: "dialer", clock: this.#options.clock });
    try {
      const hello = await greet(peer, this.#signal(options.signal).signal);
      if (hello.clusterName !== clusterName || hello.index !== 0) {
        throw new AgentError(`The agent that answers for ${clusterName} belongs to ${hello.clusterName}.`);
      }
      return { peer, hello };
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  async #dial(cluster: Cluster, options: { readonly waitMs?: number; readonly signal?: AbortSignal }) {
    const { row, instances } = cluster;
    const head = instances[0];
    if (head === undefined) throw new AgentError(`Cluster '${row.name}' has no nodes yet.`);
    const cloud = await this.#options.clouds.load(row.cloud);
    const { signal } = this.#signal(options.signal);
    const config = (await this.#options.config?.()) ?? {};
    const context = { workspace: row.workspace, config, env: {}, signal };
    const runner = await cloud.runner(head, clusterRef(row), context);
    const wait = options.waitMs === undefined ? {} : { waitMs: options.waitMs };
    return runner.connectAgent(head.agentRoot, { ...wait, signal });
  }

  #signal(signal: AbortSignal | undefined): { readonly signal: AbortSignal } {
    return { signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]) };
  }

  /** Passes events on until the connection ends, and then sees to it that there is a new one. */
  async #follow(clusterName: string, peer: AgentPeer): Promise<void> {
    try {
      const watch = peer.open("watch", { afterSeq: 0 });
      for await (const event of watch.events as AsyncIterable<AgentEvent>) {
        await this.#options.onEvent(clusterName, event, (work) => this.#run(clusterName, work(this.#closing.signal)));
      }
    } catch (error) {
      // The end of the connection ends the stream with an error of its own.
      if (!(error instanceof AgentError)) {
        this.#options.onError(clusterName, error);
        // The next connection would bring it again at once.
        await this.#options.clock.sleep(EVENT_RETRY_MS, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
    peer.close();
    const entry = this.#entries.get(clusterName);
    if (entry?.peer !== peer) return;
    this.#entries.delete(clusterName);
    this.#comeBack(clusterName);
  }

  #comeBack(clusterName: string): void {
    if (this.#closing.signal.aborted || this.#returning.has(clusterName)) return;
    const abort = new AbortController();
    this.#returning.set(clusterName, abort);
    this.#run(clusterName, this.#reconnect(clusterName, AbortSignal.any([abort.signal, this.#closing.signal])));
  }

  async #reconnect(clusterName: string, signal: AbortSignal): Promise<void> {
    try {
      for (let waitMs = FIRST_RETRY_MS; !signal.aborted; waitMs = Math.min(LAST_RETRY_MS, waitMs * 2)) {
        if (!(await this.#slots.run(() => this.#isToRetry(clusterName, signal)))) return;
        await this.#options.clock.sleep(waitMs, { signal }).catch(() => undefined);
      }
    } finally {
      this.#returning.delete(clusterName);
    }
  }

  /** One attempt to connect; whether there has to be another. */
  async #isToRetry(clusterName: string, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const isConnected = await this.connect(clusterName, { signal }).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof AgentError) && !signal.aborted) this.#options.onError(clusterName, error);
        return false;
      },
    );
    return !isConnected && !signal.aborted && (await this.#options.onLost(clusterName, this.#closing.signal));
  }

  #run(clusterName: string, work: Promise<void>): void {
    const { signal } = this.#closing;
    const task: Promise<void> = work
      .catch((error: unknown) => {
        // What the end of the server cuts short is no failure of anything.
        if (!signal.aborted || error !== signal.reason) this.#options.onError(clusterName, error);
      })
      .finally(() => this.#background.delete(task));
    this.#background.add(task);
  }
}
