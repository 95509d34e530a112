import { deleteClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { Kysely } from "kysely";
import { insertClusterEvent, type ClusterEventType } from "../../db/queries/clusters-events.ts";
import { findClusterHistory, setUsageIntervals, upsertClusterHistory } from "../../db/queries/clusters-history.ts";
import {
  deleteCluster,
  moveCluster,
  updateCluster,
  type ClusterFields,
  type ClusterRow,
  type ClusterStatus,
} from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import { inTransaction } from "../../db/transaction.ts";
import type { Clock } from "../../shared/clock.ts";
import { settleCharge } from "./charges.ts";
import { mayMove, statesBefore } from "./state.ts";

export interface StateStore {
  readonly db: Kysely<Database>;
  readonly clock: Clock;
  /** Request that acts; absent for what the server does by itself. */
  readonly requestId?: string;
}

export interface Move {
  readonly to: ClusterStatus;
  readonly phase: string;
  /** Shown as LAST_EVENT. */
  readonly reason: string;
  readonly fields?: ClusterFields;
}

/**
 * Moves a cluster along its table and records the event, the usage and what it costs from then on. False when somebody else moved it to
 * where this is not allowed, or removed it: then nothing was changed, and the caller must stop.
 */
export function moveTo(store: StateStore, row: ClusterRow, move: Move): Promise<boolean> {
  return atOnce(store, async (inside) => {
    const at = store.clock.now();
    const isMoved = await moveCluster(inside.db, row.cluster_hash, {
      from: statesBefore(move.to),
      to: move.to,
      at,
      fields: { ...move.fields, phase: move.phase, last_event: move.reason },
    });
    if (!isMoved) return false;
    await recordEvent(inside, row, { type: "STATUS_CHANGE", to: move.to, reason: move.reason });
    if (move.to === "STOPPED") await closeUsage(inside, row.cluster_hash, at);
    else await openUsage(inside, row.cluster_hash, at);
    // While nodes are asked for, none may be there: they are charged from the moment that they are.
    if (move.phase !== "provisioning") {
      await charge(inside, { ...row, num_nodes: move.fields?.num_nodes ?? row.num_nodes }, move.to);
    }
    return true;
  });
}

/**
 * A row, its events, its usage and its charges change together: after a death in between nobody would come back to end what a
 * cluster that is gone costs.
 */
function atOnce<T>(store: StateStore, work: (inside: StateStore) => Promise<T>): Promise<T> {
  const { clock, requestId } = store;
  return inTransaction(store.db, (db) => work({ db, clock, ...(requestId === undefined ? {} : { requestId }) }));
}

async function charge(store: StateStore, row: ClusterRow, status: ClusterStatus): Promise<void> {
  const state = status === "STOPPED" ? "stopped" : "running";
  await settleCharge(store.db, row, { state, at: store.clock.now() });
}

/** Removes the cluster's row; its history stays. False when it was gone. */
export async function removeCluster(store: StateStore, row: ClusterRow, reason: string): Promise<boolean> {
  if (!mayMove(row.status, "TERMINATED")) return false;
  return atOnce(store, async (inside) => {
    const isRemoved = await deleteCluster(inside.db, row.cluster_hash);
    if (!isRemoved) return false;
    await deleteClusterMounts(inside.db, row.cluster_hash);
    await recordEvent(inside, row, { type: "STATUS_CHANGE", to: null, reason });
    const at = store.clock.now();
    await closeUsage(inside, row.cluster_hash, at);
    await settleCharge(inside.db, row, { state: "gone", at });
    return true;
  });
}

/** Records progress without a change of the status. */
export async function recordEvent(
  store: StateStore,
  row: ClusterRow,
  event: { readonly type: ClusterEventType; readonly to: ClusterStatus | null; readonly reason: string },
): Promise<void> {
  await insertClusterEvent(store.db, {
    cluster_hash: row.cluster_hash,
    name: row.name,
    starting_status: row.status,
    ending_status: event.to,
    reason: event.reason,
    type: event.type,
    transitioned_at: store.clock.now(),
    request_id: store.requestId ?? null,
  });
}

/** Records what a launch is doing; the status stays. */
export function noteProgress(store: StateStore, row: ClusterRow, phase: string, reason: string): Promise<void> {
  return atOnce(store, async (inside) => {
    await updateCluster(inside.db, row.cluster_hash, { phase, last_event: reason });
    await recordEvent(inside, row, { type: "STATUS_CHANGE", to: row.status, reason });
    if (phase === "runtime_setup") await charge(inside, row, row.status);
  });
}

/** Writes the lasting record of a cluster. */
export async function rememberCluster(store: StateStore, row: ClusterRow): Promise<void> {
  await upsertClusterHistory(store.db, {
    cluster_hash: row.cluster_hash,
    name: row.name,
    num_nodes: row.num_nodes,
    cloud: row.cloud,
    region: row.region,
    zone: row.zone,
    offer: row.offer,
    requested_resources: row.requested_resources,
    usage_intervals: "[]",
    user_hash: row.user_hash,
    user_name: row.user_name,
    workspace: row.workspace,
    launched_at: row.launched_at,
    last_activity_time: store.clock.now(),
    last_creation_yaml: row.last_creation_yaml,
    last_creation_command: row.last_creation_command,
    provision_log_path: row.provision_log_path,
    is_managed: row.is_managed,
    price_usd_per_hour: row.price_usd_per_hour,
    labels: row.labels,
  });
}

/** [start, end] in milliseconds; a null end is still running. */
export type UsageInterval = readonly [number, number | null];

async function openUsage(store: StateStore, clusterHash: string, at: number): Promise<void> {
  const intervals = await usageOf(store.db, clusterHash);
  if (intervals === undefined || intervals.at(-1)?.[1] === null) return;
  const opened: readonly UsageInterval[] = [...intervals, [at, null]];
  await setUsageIntervals(store.db, clusterHash, { intervals: JSON.stringify(opened), lastActivityTime: at });
}

async function closeUsage(store: StateStore, clusterHash: string, at: number): Promise<void> {
  const intervals = await usageOf(store.db, clusterHash);
  const last = intervals?.at(-1);
  if (intervals === undefined || last === undefined || last[1] !== null) return;
  const closed: readonly UsageInterval[] = [...intervals.slice(0, -1), [last[0], at]];
  await setUsageIntervals(store.db, clusterHash, { intervals: JSON.stringify(closed), lastActivityTime: at });
}

async function usageOf(db: Kysely<Database>, clusterHash: string): Promise<readonly UsageInterval[] | undefined> {
  const history = await findClusterHistory(db, clusterHash);
  return history === undefined ? undefined : (JSON.parse(history.usage_intervals) as readonly UsageInterval[]);
}
