import { findCluster, updateCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import { RequestCancelledError, type ResourcesUnavailableError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import { infraText } from "../optimizer/place-text.ts";
import type { ClusterSpec } from "../ports/cloud.ts";
import {
  awaitNodes,
  clearNodes,
  lookAtNodes,
  requestNodes,
  toRefusal,
  undoNodes,
  type Awaited,
  type Refusal,
  type Site,
} from "../provision/attempt.ts";
import {
  orderByMemory,
  recallRefusals,
  rememberAnswer,
  sharedRefusal,
  whatIsKnownOf,
} from "../provision/capacity-memory.ts";
import type { NodePlan } from "../provision/node-plan.ts";
import { blockOf, isBlockedBy, toPlaces, type Block } from "../provision/places.ts";
import { cloudContext, clusterRef, toCluster, type Cluster } from "./cluster.ts";
import { effectName, recordAttempt, requireRow, type Attempt, type Provision } from "./cluster-row.ts";
import { reportFailures, stopFailover, type Failure } from "./failover-report.ts";
import { fullNodeWish } from "./node-wish.ts";
import { LaunchProgress } from "./launch-progress.ts";
import * as messages from "./messages.ts";
import { resourcesText } from "./record.ts";
import { setUpNodes } from "./set-up-nodes.ts";
import { moveTo, recordEvent, removeCluster } from "./transition.ts";

/**
 * Tries the plan's places in order until the cluster is up, leaving out what a refusal has ruled out. Throws
 * ResourcesUnavailableError with the reason of every place. After any other failure or a cancellation the row stays INIT, so that
 * `sky down` finds what was created.
 */
export async function provisionCluster(request: Provision, context: OperationContext): Promise<Cluster> {
  try {
    return await walk(request, context);
  } catch (error) {
    // A server that shuts down goes on with the request when it is back.
    if (!context.signal.aborted || context.signal.reason instanceof RequestCancelledError) {
      await markUnfinished(request, error, context);
    }
    throw error;
  }
}

async function markUnfinished(request: Provision, error: unknown, context: OperationContext): Promise<void> {
  const row = await findCluster(context.db, request.body.cluster_name);
  if (row?.cluster_hash !== request.plan.clusterHash || row.status !== "INIT") return;
  const reason = `The launch did not finish: ${error instanceof Error ? error.message : String(error)}`;
  await updateCluster(context.db, row.cluster_hash, { phase: "degraded", busy_request: null, last_event: reason });
  await recordEvent(context, row, { type: "DEBUG", to: "INIT", reason });
}

async function walk(request: Provision, context: OperationContext): Promise<Cluster> {
  const { body, plan, round } = request;
  const all = plan.attempts.flatMap(toPlaces);
  // Journaled, because the effects of the places are named by their position.
  const memory = await context.effect(`recall${round === 0 ? "" : `.r${round}`}`, () =>
    recallRefusals(all, context, cloudContext(context)),
  );
  const places = orderByMemory(all, memory);
  const progress = new LaunchProgress(context.log, { clusterName: body.cluster_name, round, places, memory });
  const failures: Failure[] = [];
  const blocks: Block[] = [];
  for (const [index, place] of places.entries()) {
    if (blocks.some((block) => isBlockedBy(place.offer, block))) continue;
    progress.begin(place);
    const outcome = await attempt({ ...request, place, index }, context);
    if (outcome.isReady) progress.accept(place);
    if (outcome.isReady) return setUpNodes(request, outcome.instances, context);
    failures.push({ ...outcome.refusal, place });
    blocks.push(blockOf(place.offer, outcome.refusal.scope));
    progress.refuse(place, outcome.refusal);
  }
  throw await giveUp(request, failures, context);
}

/** Of a launch that is repeated: what another launch has just been told by the place, which then need not be asked. */
function toldToOthers(request: Attempt, context: OperationContext): Promise<Refusal | null> {
  if (request.round === 0) return Promise.resolve(null);
  return context.effect(effectName(request, "told"), async () => {
    const memory = await recallRefusals([request.place], context, cloudContext(context));
    return sharedRefusal(whatIsKnownOf(request.place, memory), context.clock.now()) ?? null;
  });
}

/** Asks one place for the nodes and waits until they run; takes back what a refusal leaves behind. Every step is journaled. */
async function attempt(request: Attempt, context: OperationContext): Promise<Awaited> {
  const { place, log } = request;
  const cloud = await context.clouds.load(place.offer.cloud);
  const told = await toldToOthers(request, context);
  if (told !== null) return { isReady: false, refusal: told };
  await recordAttempt(request, cloud, context);
  log.write(`Asking ${infraText(place.displayName, place.offer)} for ${wishText(request, place)}.`);
  const plan = await context.effect(effectName(request, "look"), async () => {
    return lookAtNodes(await siteOf(request, context), isCertain(request));
  });
  const refusal = await context.effect(effectName(request, "run-instances"), async (token): Promise<Refusal | null> => {
    try {
      await requestNodes(await siteOf(request, context), await specOf(request, plan, context), token);
      return null;
    } catch (error) {
      return toRefusal(error);
    }
  });
  const outcome = refusal === null ? await settle(request, plan, context) : ({ isReady: false, refusal } as const);
  await context.effect(effectName(request, "remember"), () =>
    rememberAnswer(place, outcome.isReady ? undefined : outcome.refusal, context, cloudContext(context)),
  );
  if (outcome.isReady) return outcome;
  log.write(`${place.displayName} refused: ${outcome.refusal.reason}`);
  await context.effect(effectName(request, "undo-instances"), () => undo(request, { plan, ...outcome }, context));
  return outcome;
}

/** Waits for the nodes, and ends those that a cluster that was made smaller does not need. */
function settle(request: Attempt, plan: NodePlan, context: OperationContext): Promise<Awaited> {
  return context.effect(effectName(request, "await-instances"), async () => {
    const site = await siteOf(request, context);
    if (plan.surplus.length > 0) await clearNodes(site, (instance) => plan.surplus.includes(instance.id));
    // A head that starts comes back at other addresses: whoever still waits for it at the old ones would be waited for.
    if (plan.create.includes(0) || plan.start.length > 0) context.agents.drop(site.ref.clusterName);
    return awaitNodes(site, plan.gone);
  });
}

/** Nobody can have created instances a moment ago for a cluster that is new, or of which all were stopped. */
function isCertain({ plan }: Attempt): boolean {
  return plan.kind === "new" || plan.previousStatus === "STOPPED";
}

async function siteOf(request: Provision, context: OperationContext): Promise<Site> {
  const row = await requireRow(request, context);
  const cloud = await context.clouds.load(row.cloud);
  return {
    cloud,
    ref: clusterRef(row),
    numNodes: row.num_nodes,
    cloudContext: cloudContext(context),
    clock: context.clock,
  };
}

async function specOf(request: Provision, nodes: NodePlan, context: OperationContext): Promise<ClusterSpec> {
  const row = await requireRow(request, context);
  const cluster = toCluster(row);
  return {
    clusterName: row.name,
    nameOnCloud: row.name_on_cloud,
    numNodes: row.num_nodes,
    offer: cluster.offer,
    create: nodes.create,
    start: nodes.start,
    perNode: cluster.perNode,
    ports: cluster.ports,
    labels: cluster.labels,
    node: fullNodeWish(row),
  };
}

async function undo(
  request: Provision,
  done: { readonly plan: NodePlan; readonly refusal: Refusal },
  context: OperationContext,
): Promise<void> {
  const row = await requireRow(request, context);
  const isNew = row.cluster_ever_up === 0;
  // What opens the ports of a cluster was made for it alone, before its nodes.
  const hasMore = isNew && row.ports !== "[]";
  if (done.refusal.isClean && done.plan.start.length === 0 && !hasMore) return;
  const site = await siteOf(request, context);
  try {
    // A cluster that was up before keeps its disks.
    if (!isNew) await undoNodes(site, done.plan);
    else if (!done.refusal.isClean) await clearNodes(site);
    if (hasMore) await site.cloud.terminate(site.ref, site.cloudContext);
  } catch (error) {
    if (context.signal.aborted) throw error;
    throw stopFailover(row.name, error);
  }
}

function wishText(request: Provision, place: RankedOffer): string {
  return resourcesText(place.offer, request.plan.numNodes, true);
}

/** No place took the cluster: says why, and forgets a cluster that never ran. */
async function giveUp(
  request: Provision,
  failures: readonly Failure[],
  context: OperationContext,
): Promise<ResourcesUnavailableError> {
  const { body, plan, round } = request;
  if (round === 0) context.log.line(messages.provisionFailed(body.cluster_name));
  context.log.spinEnd();
  const wasUp = await context.effect(`give-up${round === 0 ? "" : `.r${round}`}`, async () => {
    const row = await findCluster(context.db, body.cluster_name);
    if (row === undefined || row.cluster_hash !== plan.clusterHash) return false;
    await settleFailure(row, { failures, plan }, context);
    return row.cluster_ever_up !== 0;
  });
  return reportFailures(failures, {
    clusterName: body.cluster_name,
    numNodes: plan.numNodes,
    boundStatus: wasUp ? (plan.previousStatus ?? undefined) : undefined,
  });
}

async function settleFailure(
  row: ClusterRow,
  { failures, plan }: { readonly failures: readonly Failure[]; readonly plan: Provision["plan"] },
  context: OperationContext,
): Promise<void> {
  const reason = `Provision failed: ${failures.at(-1)?.reason ?? "no place was tried"}`;
  if (row.cluster_ever_up === 0) {
    await removeCluster(context, row, reason);
    return;
  }
  await recordEvent(context, row, { type: "DEBUG", to: row.status, reason });
  // Nodes that ran before go on; the next look at the cluster says how it is.
  const to = plan.previousStatus === "STOPPED" ? "STOPPED" : "INIT";
  const phase = to === "STOPPED" ? "ready" : "degraded";
  await moveTo(context, row, { to, phase, reason, fields: { busy_request: null, num_nodes: plan.previousNumNodes } });
}
