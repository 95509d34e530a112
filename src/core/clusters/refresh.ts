import type { Kysely } from "kysely";
import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import { findCluster, updateCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import { findRequest, isTerminal } from "../../db/queries/requests.ts";
import { keepStorageOf } from "../../db/queries/storage.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { AgentError, SkyError } from "../../shared/errors.ts";
import type { AgentConnections, ClusterLocks } from "../operation.ts";
import type { Cloud, CloudContext, CloudRegistry, Instance } from "../ports/cloud.ts";
import { clusterSsh, removeClusterKey } from "../provision/cluster-key.ts";
import { removeClusterToken } from "../provision/cluster-secret.ts";
import { clusterRef, toCluster } from "./cluster.ts";
import type { Looks } from "./looks.ts";
import { compareIdentities, identityText } from "./owner.ts";
import { decide, LOST, lostReason, type Observation, type Transition } from "./state.ts";
import { moveTo, removeCluster } from "./transition.ts";

/** What tells the machines of a cluster, as they were reached last, from others and from later runs of the same. */
const ADDRESS = ["id", "internalIp", "externalIp", "startedAtMs"] as const;
/** The server's own look is over by then, unless an agent does not answer. */
const LOOK_MS = 10_000;
const PAUSE_MS = 100;
/** Under which names the server looks and repairs by itself, without a request. */
export const OWN = { look: "refresh", repair: "repair" } as const;
const OWN_NAMES: ReadonlySet<string> = new Set(Object.values(OWN));

/** What a look at a cluster needs; an operation has it, and the server's own loops have it too. */
export interface RefreshContext {
  readonly db: Kysely<Database>;
  readonly clock: Clock;
  readonly clouds: CloudRegistry;
  readonly agents: AgentConnections;
  readonly locks: ClusterLocks;
  readonly requestId?: string;
  /** Something is known to have happened: a look that is under way, which may have begun before it, is waited for. Requests always wait. */
  readonly isPatient?: boolean;
  /** What has just been seen of many clusters. */
  readonly looks?: Looks;
}

/**
 * Looks at a cluster and moves its row to what is there. Returns the row as it is then; undefined when the cluster is gone.
 * A cluster at which a request is at work is left to that request.
 */
export async function refreshCluster(
  clusterName: string,
  context: RefreshContext,
  cloudContext: CloudContext,
): Promise<ClusterRow | undefined> {
  const row = await findCluster(context.db, clusterName);
  if (row === undefined) return undefined;
  if (await isWorkedOn(row, context)) return row;
  const release = await acquire(clusterName, context, cloudContext.signal);
  if (release === undefined) return row;
  try {
    const current = await findCluster(context.db, clusterName);
    if (current === undefined) return undefined;
    return await refreshLocked(current, context, cloudContext);
  } finally {
    release();
  }
}

/** Whoever asks for a look waits for one that the server is taking by itself, which may have begun before what it is to show. */
async function acquire(
  clusterName: string,
  context: RefreshContext,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<ClusterLocks["tryAcquire"]>>> {
  const { requestId = OWN.look, clock, locks } = context;
  const isPatient = context.requestId !== undefined || context.isPatient === true;
  const deadline = clock.now() + LOOK_MS;
  for (;;) {
    const release = await locks.tryAcquire(clusterName, requestId);
    if (release !== undefined || !isPatient || clock.now() >= deadline) return release;
    // A request is not waited for: it leaves the row as it should be.
    const holder = await locks.findHolder(clusterName);
    if (holder !== undefined && !OWN_NAMES.has(holder)) return undefined;
    await clock.sleep(PAUSE_MS, { signal });
  }
}

/** After a restart of the server a request that had begun goes on, but may not have its lock back yet. */
async function isWorkedOn(row: ClusterRow, context: RefreshContext): Promise<boolean> {
  if (row.busy_request === null || row.busy_request === context.requestId) return false;
  const request = await findRequest(context.db, row.busy_request);
  return request !== undefined && !isTerminal(request.status);
}

/** `refreshCluster` for whoever holds the cluster's lock. */
export async function refreshLocked(
  row: ClusterRow,
  context: RefreshContext,
  cloudContext: CloudContext,
): Promise<ClusterRow | undefined> {
  const cloud = await context.clouds.load(row.cloud);
  const instances = await (context.looks?.of(row) ?? cloud.query(clusterRef(row), cloudContext));
  const isRunning = instances.length === row.num_nodes && instances.every((one) => one.state === "running");
  if (isRunning) await rememberAddresses(row, instances, context);
  // A stopped cluster whose nodes run was started by somebody else: its agent has to be asked all the same.
  const seen: Observation = isRunning
    ? { instances, ...(await askAgent(row, context, cloudContext)) }
    : { instances, agent: "not asked" };
  const facts = {
    status: row.status,
    phase: row.phase,
    numNodes: row.num_nodes,
    toDown: row.to_down !== 0,
    statusUpdatedAt: row.status_updated_at,
  };
  const transition = decide(facts, seen, context.clock.now());
  if (transition === undefined) return row;
  await apply(row, transition, { context, cloudContext });
  return findCluster(context.db, row.name);
}

/** Nodes that somebody else has stopped and started may have other addresses, and nothing that led to them before does. */
async function rememberAddresses(
  row: ClusterRow,
  instances: readonly Instance[],
  context: RefreshContext,
): Promise<void> {
  const known = toCluster(row).instances;
  const isSame = instances.every((one) => known.some((old) => ADDRESS.every((part) => old[part] === one[part])));
  if (isSame) return;
  context.agents.drop(row.name);
  await updateCluster(context.db, row.cluster_hash, { instances: JSON.stringify(instances) });
}

async function askAgent(
  row: ClusterRow,
  context: RefreshContext,
  cloudContext: CloudContext,
): Promise<Pick<Observation, "agent" | "liveNodes" | "preemptions" | "refusals">> {
  try {
    const agent = await context.agents.connect(row.name, { signal: cloudContext.signal });
    const status = await agent.call("status", {}, { signal: cloudContext.signal });
    const liveNodes = status.nodes.filter((node) => node.isAlive).length;
    const preemptions = status.nodes.flatMap(({ index, preemption }) => (preemption ? [{ index, ...preemption }] : []));
    const mounts = await listClusterMounts(context.db, row.cluster_hash);
    const refusals = mounts.flatMap(({ refused }) => refused ?? []);
    return { agent: status.isAutostopping ? "autostopping" : "healthy", liveNodes, preemptions, refusals };
  } catch (error) {
    if (error instanceof AgentError) return { agent: "unreachable" };
    throw error;
  }
}

async function apply(
  row: ClusterRow,
  transition: Transition,
  tools: { readonly context: RefreshContext; readonly cloudContext: CloudContext },
): Promise<void> {
  const { context, cloudContext } = tools;
  const { to, phase, reason } = transition;
  const cloud = await context.clouds.load(row.cloud);
  if (to === "TERMINATED") return end(row, transition, { ...tools, cloud });
  if (to === "STOPPED") {
    context.agents.drop(row.name);
    await cloud.stop?.(clusterRef(row), cloudContext);
    const fields = { autostop: -1, to_down: 0, busy_request: null };
    await moveTo(context, row, { to, phase, reason, fields });
    return;
  }
  if (transition.hasLost === true) {
    // Asked once: providers forget what they ended.
    if (to === row.status && row.last_event?.includes(LOST) === true) return;
    const why = await whyGone(row, cloud, cloudContext);
    await moveTo(context, row, { to, phase, reason: why === undefined ? reason : lostReason(why) });
    return;
  }
  if (to === row.status && phase === row.phase) {
    // Nothing is written when nothing is new: answers that were made of the row stay good.
    if (row.last_event !== reason) await updateCluster(context.db, row.cluster_hash, { last_event: reason });
    return;
  }
  await moveTo(context, row, { to, phase, reason });
}

/** As whom was looked, where that is another account than the cluster's: it sees none of the nodes, whether they run or not. */
async function findStranger(
  row: ClusterRow,
  cloud: Cloud,
  cloudContext: CloudContext,
): Promise<readonly string[] | undefined> {
  if (row.owner === null) return undefined;
  const identity = await cloud.identity(cloudContext);
  if (identity === null) return undefined;
  const owner = JSON.parse(row.owner) as readonly string[];
  return compareIdentities(owner, identity) === "other" ? identity : undefined;
}

/** Clears up after a cluster of which nothing runs any more. */
async function end(
  row: ClusterRow,
  { reason, isOwnEnd }: Transition,
  tools: { readonly cloud: Cloud; readonly context: RefreshContext; readonly cloudContext: CloudContext },
): Promise<void> {
  const { cloud, context, cloudContext } = tools;
  const stranger = await findStranger(row, cloud, cloudContext);
  if (stranger !== undefined) {
    const event = `The credentials that looked for its nodes are of another account: ${identityText(stranger)}.`;
    if (row.last_event !== event) await updateCluster(context.db, row.cluster_hash, { last_event: event });
    return;
  }
  // Clears what may be left of it: addresses, directories, firewall rules.
  context.agents.drop(row.name);
  const why = await whyGone(row, cloud, cloudContext);
  await cloud.terminate(clusterRef(row), cloudContext);
  // Nodes that were lost, or are not found, are no word of anybody that their buckets may go, too.
  if (isOwnEnd !== true) await keepStorageOf(context.db, row.cluster_hash);
  await forgetCluster(row, context, why === undefined ? reason : `${reason} ${why}`);
}

/** What the provider says of nodes that went by themselves. That it says nothing is no reason to keep the row. */
async function whyGone(row: ClusterRow, cloud: Cloud, cloudContext: CloudContext): Promise<string | undefined> {
  try {
    return await cloud.explainLoss?.(clusterRef(row), cloudContext);
  } catch (error) {
    if (!(error instanceof SkyError) || cloudContext.signal.aborted) throw error;
    return undefined;
  }
}

/** Removes the row and the secret of a cluster of which nothing is left. */
export async function forgetCluster(
  row: ClusterRow,
  context: Pick<RefreshContext, "db" | "clock" | "requestId">,
  reason: string,
): Promise<void> {
  await removeCluster(context, row, reason);
  if (row.secret_path === null) return;
  removeClusterToken(row.secret_path);
  removeClusterKey(clusterSsh(row.secret_path));
}

/** Whether a cached row is too old to be believed without being asked: it may stop or vanish by itself. */
export function needsRefresh(row: ClusterRow, now: number): boolean {
  const { offer } = toCluster(row);
  const mayChange = offer.useSpot || row.status === "AUTOSTOPPING" || (row.autostop >= 0 && row.status !== "STOPPED");
  return mayChange && now - row.status_updated_at > 2000;
}
