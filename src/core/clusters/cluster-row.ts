import { findCluster, insertCluster, updateCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import { infraText } from "../optimizer/place-text.ts";
import type { Cloud } from "../ports/cloud.ts";
import { secretPath } from "../provision/cluster-secret.ts";
import type { Task } from "../task/task.ts";
import type { LaunchBody } from "./bodies.ts";
import { cloudContext } from "./cluster.ts";
import { nameOnCloud } from "./names.ts";
import { nodeWishOf } from "./node-wish.ts";
import { requestedResources, type LaunchPlan } from "./plan.ts";
import type { RunLog } from "./provision-log.ts";
import { moveTo, rememberCluster } from "./transition.ts";

export interface Provision {
  readonly body: Pick<
    LaunchBody,
    "cluster_name" | "entrypoint_command" | "idle_minutes_to_autostop" | "down" | "wait_for"
  >;
  /** Absent when a cluster is started again without a task. */
  readonly task: Task | undefined;
  readonly displayYaml: string | null;
  readonly plan: LaunchPlan;
  readonly log: RunLog;
  /** Distinguishes the effects of repeated rounds. */
  readonly round: number;
}

/** One place of the walk. */
export interface Attempt extends Provision {
  readonly place: RankedOffer;
  readonly index: number;
}

/** Name of an effect: the same step of another round or of another place is another effect. */
export function effectName(request: Attempt | Provision, step: string): string {
  const attempt = "index" in request ? `.${request.index}` : "";
  return `${step}${request.round === 0 ? "" : `.r${request.round}`}${attempt}`;
}

/** Writes the row before anything is created, so that `sky status` and `sky down` know of it. */
export async function recordAttempt(request: Attempt, cloud: Cloud, context: OperationContext): Promise<void> {
  const { plan, place } = request;
  await context.effect(effectName(request, "record"), async () => {
    const row = await newRow(request, cloud, context);
    const existing = await findCluster(context.db, row.name);
    if (existing === undefined && plan.kind === "new") await insertCluster(context.db, row);
    const found = existing ?? (await findCluster(context.db, row.name));
    if (found === undefined || found.cluster_hash !== plan.clusterHash) throw changedMeanwhile(row.name);
    if (plan.mayMove) await updateCluster(context.db, plan.clusterHash, placeOf(row));
    await rememberCluster(context, plan.mayMove ? { ...found, ...placeOf(row) } : found);
    await moveTo(context, found, {
      to: "INIT",
      phase: "provisioning",
      reason: `Provisioning on ${infraText(place.displayName, place.offer)}`,
      fields: { num_nodes: plan.numNodes, provision_log_path: request.log.path, busy_request: context.requestId },
    });
  });
}

/** The row of the cluster that is being provisioned. Throws OperationFailedError when another request has replaced it. */
export async function requireRow(request: Provision, context: OperationContext): Promise<ClusterRow> {
  const { cluster_name: name } = request.body;
  const row = await findCluster(context.db, name);
  if (row === undefined || row.cluster_hash !== request.plan.clusterHash) throw changedMeanwhile(name);
  return row;
}

export function changedMeanwhile(name: string): OperationFailedError {
  return new OperationFailedError(`Cluster '${name}' was changed by another request.`, {
    hint: `Look at it with \`sky status ${name}\` and repeat the command.`,
  });
}

function placeOf(row: ClusterRow) {
  const { cloud, region, zone, offer, per_node, name_on_cloud, price_usd_per_hour, ports, labels, node_wish } = row;
  return { cloud, region, zone, offer, per_node, name_on_cloud, price_usd_per_hour, ports, labels, node_wish };
}

async function newRow(request: Attempt, cloud: Cloud, context: OperationContext): Promise<ClusterRow> {
  const { plan, body, task, place } = request;
  const { offer } = place;
  const { caller } = context;
  const owner = await cloud.identity(cloudContext(context));
  return {
    name: body.cluster_name,
    cluster_hash: plan.clusterHash,
    name_on_cloud: nameOnCloud(body.cluster_name, caller.userId, cloud.maxNameLength),
    cloud: offer.cloud,
    region: offer.region,
    zone: offer.zone,
    status: "INIT",
    phase: "provisioning",
    num_nodes: plan.numNodes,
    offer: JSON.stringify(offer),
    per_node: JSON.stringify(offer.resources),
    instances: "[]",
    requested_resources: task === undefined ? "{}" : requestedResources(task),
    ports: JSON.stringify(plan.ports),
    labels: JSON.stringify(task?.resources.candidates[place.candidate]?.labels ?? {}),
    launched_at: plan.launchedAt,
    last_use: body.entrypoint_command ?? null,
    status_updated_at: plan.launchedAt,
    autostop: -1,
    to_down: 0,
    wait_for: "jobs_and_ssh",
    owner: owner === null ? null : JSON.stringify(owner),
    user_hash: caller.userId,
    user_name: caller.userName,
    workspace: caller.workspace,
    cluster_ever_up: 0,
    last_creation_yaml: request.displayYaml,
    last_creation_command: body.entrypoint_command ?? null,
    provision_log_path: request.log.path,
    is_managed: 0,
    config_hash: null,
    last_event: null,
    price_usd_per_hour: offer.priceUsdPerHour,
    secret_path: secretPath(context.stateDir, plan.clusterHash),
    busy_request: context.requestId,
    node_wish: JSON.stringify(nodeWishOf(request)),
  };
}
