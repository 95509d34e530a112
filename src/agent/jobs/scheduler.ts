import type { NodeResources } from "../../shared/agent/protocol.ts";
import { couldHold, NodeLedger, type Demand, type Grant } from "./allocator.ts";

export interface QueuedJob {
  readonly jobId: number;
  readonly numNodes: number;
  readonly demand: Demand;
}
export interface RunningJob {
  readonly jobId: number;
  readonly grants: readonly Grant[];
}
export interface SchedulableNode {
  readonly index: number;
  readonly resources: NodeResources;
  readonly isAlive: boolean;
}
export interface Placement {
  readonly jobId: number;
  /** One grant per rank, in rank order. */
  readonly grants: readonly Grant[];
}

/** The nodes kept for the first job that does not fit. */
interface Reservation {
  readonly demand: Demand;
  /** Per reserved node what is free of jobs younger than the reservation: it must stay enough for the demand. */
  readonly ledgers: ReadonlyMap<number, NodeLedger>;
}

/**
 * Decides which queued jobs start now. First come, first served by job id; a job that does not fit keeps a reservation on its nodes, and
 * younger jobs may pass it only on what it will not need, so it cannot starve. A job gets all of its nodes, distinct, or none.
 */
export function schedule(
  queue: readonly QueuedJob[],
  running: readonly RunningJob[],
  nodes: readonly SchedulableNode[],
): Placement[] {
  const alive = nodes.filter((node) => node.isAlive).sort((a, b) => a.index - b.index);
  const free = new Map(alive.map((node) => [node.index, new NodeLedger(node.resources)]));
  for (const job of running) for (const grant of job.grants) free.get(grant.node)?.take(grant);
  const placements: Placement[] = [];
  let reservation: Reservation | undefined;
  // What did not fit will not fit later in this round: free resources only shrink.
  const refused = new Set<string>();
  for (const job of [...queue].sort((a, b) => a.jobId - b.jobId)) {
    const wish = JSON.stringify([job.numNodes, job.demand]);
    if (refused.has(wish)) continue;
    const grants = place(job, alive, free, reservation);
    if (grants === undefined) {
      refused.add(wish);
      reservation ??= reserve(job, alive, [...running, ...placements]);
      continue;
    }
    for (const grant of grants) {
      free.get(grant.node)?.take(grant);
      reservation?.ledgers.get(grant.node)?.take(grant);
    }
    placements.push({ jobId: job.jobId, grants });
  }
  return placements;
}

function place(
  job: QueuedJob,
  nodes: readonly SchedulableNode[],
  free: ReadonlyMap<number, NodeLedger>,
  reservation: Reservation | undefined,
): Grant[] | undefined {
  const grants: Grant[] = [];
  for (const { index } of nodes) {
    if (grants.length === job.numNodes) break;
    const grant = free.get(index)?.fit(index, job.demand);
    if (grant !== undefined && !delays(reservation, grant)) grants.push(grant);
  }
  return grants.length === job.numNodes ? grants : undefined;
}

/** Chooses for a blocked job the nodes that the fewest younger jobs hold; undefined when the cluster can never run it. */
function reserve(
  job: QueuedJob,
  nodes: readonly SchedulableNode[],
  running: readonly RunningJob[],
): Reservation | undefined {
  const able = nodes.filter((node) => couldHold(node.resources, job.demand));
  if (able.length < job.numNodes) return undefined;
  const held = (node: SchedulableNode, isCounted: (id: number) => boolean): number =>
    running.filter((other) => isCounted(other.jobId) && other.grants.some((grant) => grant.node === node.index)).length;
  const chosen = [...able]
    .sort(
      (a, b) =>
        held(a, (id) => id > job.jobId) - held(b, (id) => id > job.jobId) ||
        held(a, () => true) - held(b, () => true) ||
        a.index - b.index,
    )
    .slice(0, job.numNodes);
  const ledgers = new Map(chosen.map((node) => [node.index, new NodeLedger(node.resources)]));
  for (const other of running) {
    if (other.jobId < job.jobId) continue;
    for (const grant of other.grants) ledgers.get(grant.node)?.take(grant);
  }
  return { demand: job.demand, ledgers };
}

/** Whether the reserved job could have to wait for a younger job that gets this grant. */
function delays(reservation: Reservation | undefined, grant: Grant): boolean {
  const ledger = reservation?.ledgers.get(grant.node);
  if (reservation === undefined || ledger === undefined) return false;
  ledger.take(grant);
  const isStillEnough = ledger.fit(grant.node, reservation.demand) !== undefined;
  ledger.giveBack(grant);
  return !isStillEnough;
}
