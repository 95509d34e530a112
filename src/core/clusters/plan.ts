import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { findCluster } from "../../db/queries/clusters.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { ResourcesMismatchError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import { rankOffers } from "../optimizer/optimize.ts";
import { labelsOf, placeForPlan, type PlannedPlacement } from "../optimizer/operation.ts";
import type { DagPlacement } from "../optimizer/placement.ts";
import { hourlyUsd } from "../optimizer/plan-object.ts";
import { planLines } from "../optimizer/plan-lines.ts";
import { toOfferRequest, cloudKeyOf } from "../optimizer/request.ts";
import type { Offer, OfferRequest } from "../ports/cloud.ts";
import { toPlaces } from "../provision/places.ts";
import { formatResources } from "../resources/format.ts";
import { choiceToValue } from "../resources/dump.ts";
import { dockerImageOf } from "../resources/image.ts";
import { coversPorts } from "../resources/ports.ts";
import type { Resources } from "../resources/resources.ts";
import type { Task } from "../task/task.ts";
import type { LaunchBody } from "./bodies.ts";
import { assertBudget, ownerOf } from "../budgets/outlook.ts";
import { ratesOf, totalRate } from "./charges.ts";
import { toCluster, type Cluster } from "./cluster.ts";
import { checkOwner } from "./owner.ts";
import { runTimestamp } from "./provision-log.ts";
import { formatAmount } from "../optimizer/ruled-table.ts";

/** What a launch has decided to do; journaled, so that it does the same after a restart of the server. */
export interface LaunchPlan {
  readonly kind: "new" | "reuse";
  readonly clusterHash: string;
  readonly runTimestamp: string;
  /** Milliseconds. */
  readonly launchedAt: number;
  /** Status of the cluster that is reused; null for a new one. */
  readonly previousStatus: string | null;
  readonly numNodes: number;
  /** Nodes that the cluster had before; differs from `numNodes` only with --resize. */
  readonly previousNumNodes: number;
  /** Whether the cluster may come to be elsewhere than its row says: it is new, or was never up. */
  readonly mayMove: boolean;
  /** Best first; one for a cluster that was up once. */
  readonly attempts: readonly RankedOffer[];
  /** Lines to show before the launch begins. */
  readonly table: readonly string[];
  readonly ports: readonly string[];
}

/** Decides between a new cluster and the existing one, and where. Throws ResourcesMismatchError and what rankOffers throws. */
export async function planLaunch(
  body: LaunchBody,
  task: Task,
  context: OperationContext,
  options: {
    /** Told of the placement of a new cluster. */ readonly onPlaced?: (planned: PlannedPlacement) => void;
  } = {},
): Promise<LaunchPlan> {
  const row = await findCluster(context.db, body.cluster_name);
  const now = context.clock.now();
  const base = { runTimestamp: runTimestamp(now), launchedAt: now };
  if (row !== undefined) return { ...base, ...(await planReuse(body, { task, cluster: toCluster(row) }, context)) };
  const minimize = body.optimize_target === 1 ? "time" : "cost";
  const explain = body.dryrun === true && body.explain === true;
  const planned = await placeForPlan({ tasks: [task], edges: [] }, context, { minimize, explain });
  options.onPlaced?.(planned);
  const { placement } = planned;
  if (body.dryrun !== true) await assertNewCluster(placement, context);
  const attempts = placement.tasks[0]?.ranking.offers ?? [];
  return {
    ...base,
    kind: "new",
    mayMove: true,
    clusterHash: randomUUID(),
    previousStatus: null,
    numNodes: task.numNodes,
    previousNumNodes: task.numNodes,
    attempts,
    table: planLines(placement),
    ports: task.resources.candidates[attempts[0]?.candidate ?? 0]?.ports ?? [],
  };
}

async function planReuse(
  body: LaunchBody,
  { task, cluster }: { readonly task: Task; readonly cluster: Cluster },
  context: OperationContext,
): Promise<Omit<LaunchPlan, "runTimestamp" | "launchedAt">> {
  const { row } = cluster;
  await checkOwner(cluster, context);
  const numNodes = body.resize === true ? task.numNodes : row.num_nodes;
  const candidate = checkFit(cluster, task, numNodes);
  if (row.status === "STOPPED" && body.dryrun !== true) await assertRestart(cluster, context, numNodes);
  const cloud = await context.clouds.load(row.cloud);
  const ports = [...new Set([...cluster.ports, ...(task.resources.candidates[candidate]?.ports ?? [])])];
  const here = { candidate, offer: cluster.offer, displayName: cloud.displayName };
  const mayMove = row.cluster_ever_up === 0;
  return {
    kind: "reuse",
    clusterHash: row.cluster_hash,
    previousStatus: row.status,
    numNodes,
    previousNumNodes: row.num_nodes,
    mayMove,
    attempts: mayMove ? [here, ...(await otherPlaces(here, task, context))] : [here],
    table: [],
    ports,
  };
}

async function assertNewCluster(placement: DagPlacement, context: OperationContext): Promise<void> {
  for (const placed of placement.tasks) {
    await assertBudget(ownerOf(labelsOf(placed), context), hourlyUsd(placement), context);
  }
}

/** Throws BudgetReachedError when there is no money to run a stopped cluster again. */
export async function assertRestart(
  { row, offer, labels }: Cluster,
  context: OperationContext,
  numNodes = row.num_nodes,
): Promise<void> {
  await assertBudget({ ...row, labels }, totalRate(ratesOf(offer, numNodes)), context);
}

/** Where a cluster that was never up may go when its first place refuses. */
async function otherPlaces(here: RankedOffer, task: Task, context: OperationContext): Promise<readonly RankedOffer[]> {
  const { offers } = await rankOffers(task, context);
  return offers.flatMap(toPlaces).filter(({ offer }) => !isDeepStrictEqual(offer, here.offer));
}

/** The first candidate of the task that the cluster's nodes can run. Throws ResourcesMismatchError. */
export function checkFit(cluster: Cluster, task: Task, numNodes = cluster.row.num_nodes): number {
  const { row, offer } = cluster;
  const misfits = task.resources.candidates.map((resources) => misfitOf(resources, cluster));
  const fitting = misfits.findIndex((misfit) => misfit === undefined);
  if (task.numNodes <= numNodes && fitting !== -1) return fitting;
  const requested = task.resources.candidates.map((one) => `${task.numNodes}x ${formatResources(one)}`);
  const existing = `${row.num_nodes}x ${displayOffer(offer)}`;
  const reason =
    task.numNodes > numNodes
      ? `${task.numNodes} nodes asked, the cluster has ${numNodes}`
      : (misfits.find((misfit) => misfit !== undefined) ?? "");
  throw new ResourcesMismatchError(
    [
      "Requested resources do not match the existing cluster.",
      `  Requested:\t{${requested.join(", ")}}`,
      `  Existing:\t${existing}`,
      `  Reason:\t${reason}.`,
      `To fix: specify a new cluster name, or down the existing cluster first: sky down ${row.name}`,
    ].join("\n"),
  );
}

function displayOffer(offer: Offer): string {
  const { cpus, memoryGib, accelerators } = offer.resources;
  const gpus = Object.entries(accelerators).map(([name, count]) => `, {'${name}': ${count}}`);
  return `${displayCloud(offer.cloud)}(cpus=${formatAmount(cpus)}, mem=${formatAmount(memoryGib)}${gpus.join("")})`;
}

/** Why a node of the cluster cannot run it; undefined when it can. */
function misfitOf(resources: Resources, cluster: Cluster): string | undefined {
  const { row, offer } = cluster;
  const key = cloudKeyOf(resources);
  if (key !== undefined && key !== row.cloud) return `the cluster is on ${row.cloud}, the task asks for ${key}`;
  const request = toOfferRequest(resources, 1);
  if (request.region !== undefined && request.region !== row.region) {
    return `the cluster is in region '${row.region}', the task asks for '${request.region}'`;
  }
  if (request.zone !== undefined && request.zone !== row.zone) return `the cluster is not in zone '${request.zone}'`;
  if (request.instanceType !== undefined && request.instanceType !== offer.instanceType) {
    return `the cluster's nodes are ${offer.instanceType}, the task asks for ${request.instanceType}`;
  }
  const image = dockerImageOf(resources);
  if (image !== undefined && image !== offer.container) {
    return `the cluster runs tasks in ${offer.container ?? "no container"}, the task asks for ${image}`;
  }
  if (resources.useSpot === true && !offer.useSpot) return "the cluster's nodes are not spot instances";
  return misfitOfAmounts(request, cluster);
}

function misfitOfAmounts(request: OfferRequest, cluster: Cluster): string | undefined {
  const { cpus, memoryGib, accelerators } = cluster.perNode;
  const { memory } = request;
  const wantedCpus = request.cpus?.count ?? 0;
  const perUnit = memory?.perCpu === true ? (request.cpus?.count ?? cpus) : 1;
  const wantedMemory = (memory?.amount ?? 0) * perUnit;
  const lacking = Object.entries(request.accelerators).find(([name, count]) => count > (accelerators[name] ?? 0));
  if (wantedCpus > cpus) return `${wantedCpus} CPUs asked, a node has ${formatAmount(cpus)}`;
  if (wantedMemory > memoryGib) return `${wantedMemory} GiB of memory asked, a node has ${formatAmount(memoryGib)}`;
  if (lacking === undefined) return undefined;
  return `${lacking[0]}:${lacking[1]} asked, a node has ${accelerators[lacking[0]] ?? 0}`;
}

/** Ports that have to be opened on the existing cluster. */
export function newPorts(cluster: Cluster, wanted: readonly string[]): readonly string[] {
  return coversPorts(cluster.ports, wanted) ? [] : wanted;
}

/** The task's wish in YAML form, for the row. */
export function requestedResources(task: Task): string {
  return JSON.stringify(choiceToValue(task.resources, { redactSecrets: true }));
}
