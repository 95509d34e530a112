import type { ClusterStatus } from "../../db/queries/clusters.ts";
import type { Preemption } from "../../shared/agent/protocol.ts";
import type { Instance } from "../ports/cloud.ts";

/** A cluster that is gone has no row. */
export type ClusterState = ClusterStatus | "TERMINATED";

/** Where each state may go. PENDING is shown for launches that wait in a queue; no row has it. */
export const next = {
  PENDING: ["INIT", "TERMINATED"],
  INIT: ["INIT", "UP", "STOPPED", "AUTOSTOPPING", "TERMINATED"],
  UP: ["INIT", "UP", "AUTOSTOPPING", "STOPPED", "TERMINATED"],
  AUTOSTOPPING: ["INIT", "UP", "AUTOSTOPPING", "STOPPED", "TERMINATED"],
  // A stopped cluster whose nodes were started behind our back may be about to stop itself.
  STOPPED: ["INIT", "UP", "AUTOSTOPPING", "STOPPED", "TERMINATED"],
  TERMINATED: [],
} as const satisfies Record<ClusterState, readonly ClusterState[]>;

/** The states from which `to` can be reached: the guard of the update. */
export function statesBefore(to: ClusterStatus): readonly ClusterStatus[] {
  const all = Object.keys(next) as ClusterState[];
  return all.filter((state): state is ClusterStatus => state !== "TERMINATED" && mayMove(state, to));
}

export function mayMove(from: ClusterState, to: ClusterState): boolean {
  return (next[from] as readonly ClusterState[]).includes(to);
}

/** What the cloud and the head agent say at one moment. */
export interface Observation {
  readonly instances: readonly Pick<Instance, "index" | "state" | "isSelfStopped">[];
  /** `unreachable` says nothing about the nodes: the way to them may be broken. */
  readonly agent: "healthy" | "autostopping" | "unreachable" | "not asked";
  /** Nodes that the head agent sees, the head included. */
  readonly liveNodes?: number;
  /** What providers have announced of nodes, with their indices. */
  readonly preemptions?: readonly (Preemption & { readonly index: number })[];
  /** Why keys of mounts cannot be renewed, in sentences. */
  readonly refusals?: readonly string[];
}

export interface ClusterFacts {
  readonly status: ClusterStatus;
  readonly phase: string;
  readonly numNodes: number;
  readonly toDown: boolean;
  /** Milliseconds since the epoch. */
  readonly statusUpdatedAt: number;
}

export interface Transition {
  readonly to: ClusterState;
  readonly phase: string;
  readonly reason: string;
  /** It took itself down, as it was told to. */
  readonly isOwnEnd?: true;
  /** Nodes are gone; what the provider says of them belongs to the reason. */
  readonly hasLost?: true;
}

export const LOST = "one or more nodes terminated";

/** A cloud may not show an instance yet that was just created. */
export const CREATION_GRACE_MS = 60_000;
/** The nodes of a cluster that stops itself do not stop at the same moment. */
export const AUTOSTOP_GRACE_MS = 600_000;

/** Decides what an observation means. Undefined: nothing to change. */
export function decide(cluster: ClusterFacts, seen: Observation, now: number): Transition | undefined {
  const live = seen.instances.filter((instance) => instance.state !== "terminated");
  if (live.length === 0) return decideGone(cluster, now);
  const stopped = live.filter((instance) => instance.state === "stopped").length;
  if (stopped === live.length && live.length >= cluster.numNodes) {
    // It was to remove itself, and could only switch itself off. Nobody else's stop may cost it its disks.
    if (cluster.toDown && live.every((instance) => instance.isSelfStopped === true)) {
      return { to: "TERMINATED", phase: "terminating", reason: "Cluster was autodowned.", isOwnEnd: true };
    }
    // What its stop had to clear up is done before the row says so.
    if (cluster.status === "STOPPED" && cluster.phase === "ready") return undefined;
    return { to: "STOPPED", phase: "ready", reason: "All nodes stopped, cleaning up the cluster." };
  }
  const running = live.filter((instance) => instance.state === "running").length;
  if (running === live.length && live.length === cluster.numNodes) return decideRunning(cluster, seen);
  if (cluster.status === "AUTOSTOPPING" && now - cluster.statusUpdatedAt < AUTOSTOP_GRACE_MS) return undefined;
  const transition = abnormal(reasonOf({ live: live.length, stopped, running }, cluster.numNodes));
  return live.length < cluster.numNodes ? { ...transition, hasLost: true } : transition;
}

function decideGone(cluster: ClusterFacts, now: number): Transition | undefined {
  if (cluster.status === "INIT" && now - cluster.statusUpdatedAt < CREATION_GRACE_MS) return undefined;
  const end = cluster.status === "AUTOSTOPPING" && cluster.toDown ? ({ isOwnEnd: true } as const) : {};
  return { to: "TERMINATED", phase: "terminating", reason: "All nodes terminated, cleaning up the cluster.", ...end };
}

interface Counts {
  readonly live: number;
  readonly stopped: number;
  readonly running: number;
}

function reasonOf({ live, stopped, running }: Counts, numNodes: number): string {
  if (live < numNodes) return LOST;
  if (live > numNodes) return `${live} nodes carry the cluster's name, of which ${numNodes} were launched`;
  if (stopped > 0) return "some but not all nodes are stopped";
  return `${live - running} of ${numNodes} node(s) in unexpected state`;
}

function decideRunning(cluster: ClusterFacts, seen: Observation): Transition | undefined {
  switch (seen.agent) {
    case "not asked":
      return undefined;
    case "unreachable":
      // Unreachable is not dead: what ran goes on. Only the finer phase tells.
      if (cluster.status === "UP" || cluster.status === "AUTOSTOPPING") {
        return { to: cluster.status, phase: "unreachable", reason: "The node's agent cannot be reached." };
      }
      return abnormal("the node's agent cannot be reached");
    case "autostopping":
      return {
        to: "AUTOSTOPPING",
        phase: "stopping",
        reason: cluster.toDown ? "Cluster is autodowning." : "Cluster is autostopping.",
      };
    case "healthy": {
      const liveNodes = seen.liveNodes ?? cluster.numNodes;
      if (liveNodes < cluster.numNodes) {
        return { to: "UP", phase: "degraded", reason: `${liveNodes} of ${cluster.numNodes} nodes are connected.` };
      }
      return { to: "UP", ...announcedOf(seen) };
    }
  }
}

function announcedOf({ preemptions = [], refusals = [] }: Observation): Pick<Transition, "phase" | "reason"> {
  const [first] = preemptions.toSorted((a, b) => a.kind.localeCompare(b.kind) || a.atMs - b.atMs);
  if (first === undefined) {
    const isWell = refusals.length === 0;
    return { phase: "ready", reason: isWell ? "All nodes up; SkyPilot runtime healthy." : refusals.join(" ") };
  }
  const at = `${new Date(first.atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const others = preemptions.filter((one) => one !== first && one.kind === first.kind).length;
  const who = others === 0 ? `Node ${first.index}` : `Node ${first.index} and ${others} more`;
  if (first.kind === "rebalance") {
    return { phase: "ready", reason: `${who} may soon be preempted (rebalance recommendation of ${at}).` };
  }
  return { phase: "preempting", reason: `${who} will be preempted at ${at} (spot interruption notice).` };
}

/** The reason of a cluster that has lost nodes, with what its provider says of them. */
export function lostReason(detail: string): string {
  return abnormal(`${LOST} (${detail.replace(/\.$/u, "")})`).reason;
}

function abnormal(reason: string): Transition {
  return {
    to: "INIT",
    phase: "degraded",
    reason: `Cluster is abnormal because ${reason}. Transitioned to INIT (details: cluster is unhealthy).`,
  };
}
