import { findCluster, insertCluster, updateCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import {
  NoCapacityError,
  OperationFailedError,
  RequestCancelledError,
  ResourcesUnavailableError,
  SkyError,
} from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import { infraText, type RankedOffer } from "../optimizer/optimize.ts";
import type { Cloud, ClusterSpec, Instance } from "../ports/cloud.ts";
import { bringUp } from "../provision/bring-up.ts";
import { ensureClusterToken, secretPath } from "../provision/cluster-secret.ts";
import type { Task } from "../task/task.ts";
import type { LaunchBody } from "./bodies.ts";
import { cloudContext, clusterRef, toCluster, type Cluster } from "./cluster.ts";
import * as messages from "./messages.ts";
import { nameOnCloud } from "./names.ts";
import { requestedResources, type LaunchPlan } from "./plan.ts";
import type { RunLog } from "./provision-log.ts";
import { resourcesText } from "./record.ts";
import { moveTo, noteProgress, recordEvent, rememberCluster, removeCluster } from "./transition.ts";

/** How long instances may take to run. */
const INSTANCE_WAIT_MS = 600_000;
const INSTANCE_POLL_MS = 250;

export interface Provision {
  readonly body: Pick<LaunchBody, "cluster_name" | "entrypoint_command">;
  /** Absent when a cluster is started again without a task. */
  readonly task: Task | undefined;
  readonly displayYaml: string | null;
  readonly plan: LaunchPlan;
  readonly log: RunLog;
  /** Distinguishes the effects of repeated rounds. */
  readonly round: number;
}

interface Failure {
  readonly attempt: RankedOffer;
  readonly reason: string;
  readonly hint?: string;
  /** Another place, or another time, cannot help. */
  readonly isFinal: boolean;
}

type Outcome =
  | { readonly isDone: true }
  | { readonly isDone: false; readonly reason: string; readonly isFinal: boolean; readonly hint?: string };

/**
 * Tries the plan's places in order until the cluster is up. Throws ResourcesUnavailableError with every reason. After any other
 * failure or a cancellation the row stays INIT, so that `sky down` finds what was created.
 */
export async function provisionCluster(request: Provision, context: OperationContext): Promise<Cluster> {
  try {
    return await tryPlaces(request, context);
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

async function tryPlaces(request: Provision, context: OperationContext): Promise<Cluster> {
  const { plan, body } = request;
  const failures: Failure[] = [];
  for (const [index, attempt] of plan.attempts.entries()) {
    if (index > 0) {
      context.log.line("");
      context.log.line("↺ Trying other potential resources.");
    }
    context.log.spin(messages.launchSpinner("Launching", body.cluster_name));
    const cloud = await context.clouds.load(attempt.offer.cloud);
    const row = await recordAttempt({ ...request, attempt, index }, cloud, context);
    context.log.line(messages.launchingOn(attempt.displayName, attempt.offer));
    const outcome = await runInstances({ ...request, attempt, index }, { row, cloud }, context);
    if (outcome.isDone) return setUpNodes(request, { row, cloud }, context);
    failures.push({ ...outcome, attempt });
    context.log.line(`sky.exceptions.ResourcesUnavailableError: ${outcome.reason}`);
    if (outcome.isFinal) break;
  }
  throw await giveUp(request, failures, context);
}

interface Attempt extends Provision {
  readonly attempt: RankedOffer;
  readonly index: number;
}

function effectName(request: Attempt | Provision, step: string): string {
  const attempt = "index" in request ? `.${request.index}` : "";
  return `${step}${request.round === 0 ? "" : `.r${request.round}`}${attempt}`;
}

/** Writes the row before anything is created, so that `sky status` and `sky down` know of it. */
async function recordAttempt(request: Attempt, cloud: Cloud, context: OperationContext): Promise<ClusterRow> {
  const { plan, attempt } = request;
  await context.effect(effectName(request, "record"), async () => {
    const row = await newRow(request, cloud, context);
    const existing = await findCluster(context.db, row.name);
    if (existing === undefined && plan.kind === "new") await insertCluster(context.db, row);
    const found = existing ?? (await findCluster(context.db, row.name));
    if (found === undefined || found.cluster_hash !== plan.clusterHash) throw changedMeanwhile(row.name);
    if (plan.kind === "new") await updateCluster(context.db, plan.clusterHash, placeOf(row));
    await rememberCluster(context, { ...found, ...placeOf(row) });
    await moveTo(context, found, {
      to: "INIT",
      phase: "provisioning",
      reason: `Provisioning on ${infraText(attempt.displayName, attempt.offer)}`,
      fields: { num_nodes: plan.numNodes, provision_log_path: request.log.path, busy_request: context.requestId },
    });
  });
  const row = await findCluster(context.db, request.body.cluster_name);
  if (row === undefined || row.cluster_hash !== plan.clusterHash) throw changedMeanwhile(request.body.cluster_name);
  return row;
}

function changedMeanwhile(name: string): OperationFailedError {
  return new OperationFailedError(`Cluster '${name}' was changed by another request.`, {
    hint: `Look at it with \`sky status ${name}\` and repeat the command.`,
  });
}

function placeOf(row: ClusterRow) {
  const { cloud, region, zone, offer, per_node, name_on_cloud, price_usd_per_hour, ports, labels } = row;
  return { cloud, region, zone, offer, per_node, name_on_cloud, price_usd_per_hour, ports, labels };
}

async function newRow(request: Attempt, cloud: Cloud, context: OperationContext): Promise<ClusterRow> {
  const { plan, body, task, attempt } = request;
  const { offer } = attempt;
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
    labels: JSON.stringify(task?.resources.candidates[attempt.candidate]?.labels ?? {}),
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
  };
}

interface Target {
  readonly row: ClusterRow;
  readonly cloud: Cloud;
}

/** Asks the cloud for the nodes. A refusal is a result, so that it is journaled and not asked for again. */
async function runInstances(request: Attempt, target: Target, context: OperationContext): Promise<Outcome> {
  const { row, cloud } = target;
  const cluster = toCluster(row);
  const spec: ClusterSpec = {
    clusterName: row.name,
    nameOnCloud: row.name_on_cloud,
    numNodes: row.num_nodes,
    offer: cluster.offer,
    perNode: cluster.perNode,
    ports: cluster.ports,
    labels: cluster.labels,
  };
  request.log.write(`Asking ${cloud.displayName} for ${resourcesText(cluster.offer, row.num_nodes, true)}.`);
  const outcome = await context.effect<Outcome>(effectName(request, "run-instances"), async (token) => {
    try {
      await cloud.run(spec, token, cloudContext(context));
      return { isDone: true };
    } catch (error) {
      if (!(error instanceof SkyError)) throw error;
      const { message: reason, hint } = error;
      const isFinal = !(error instanceof NoCapacityError);
      return { isDone: false, reason, isFinal, ...(hint === undefined ? {} : { hint }) };
    }
  });
  if (outcome.isDone) return outcome;
  request.log.write(`${cloud.displayName} refused: ${outcome.reason}`);
  await context.effect(effectName(request, "undo-instances"), async () => {
    // A cluster that was up before keeps its disks.
    if (row.cluster_ever_up === 0) await cloud.terminate(clusterRef(row), cloudContext(context));
    else await cloud.stop?.(clusterRef(row), cloudContext(context));
  });
  return outcome;
}

/** Waits for the nodes and brings their agents up. */
async function setUpNodes(request: Provision, target: Target, context: OperationContext): Promise<Cluster> {
  const { row, cloud } = target;
  const { log } = context;
  log.spin(messages.launchSpinner("Launching - Checking instance status", row.name));
  const instances = await waitForInstances(target, context);
  await updateCluster(context.db, row.cluster_hash, { instances: JSON.stringify(instances) });
  log.line(messages.instancesAreUp(instances.length));
  request.log.write(`Instances: ${instances.map((one) => `${one.id} (${one.internalIp})`).join(", ")}`);
  const cluster = toCluster({ ...row, instances: JSON.stringify(instances) });
  await noteProgress(context, row, "runtime_setup", "Setting up SkyPilot runtime on cluster");
  log.spin(messages.launchSpinner("Preparing SkyPilot runtime (3/3 - runtime)", row.name));
  try {
    await context.effect(effectName(request, "bring-up"), async () => {
      const token = ensureClusterToken(secretPath(context.stateDir, row.cluster_hash));
      await bringUp({ cluster, cloud, token }, { ...context, cloudContext: cloudContext(context) });
    });
  } catch (error) {
    if (context.signal.aborted) throw error;
    request.log.write(`The runtime did not come up: ${error instanceof Error ? error.message : String(error)}`);
    log.line(
      messages.failure("Failed to set up SkyPilot runtime on cluster.", messages.viewServerLog(request.log.path)),
    );
    throw error;
  }
  const isUp = await moveTo(context, row, {
    to: "UP",
    phase: "ready",
    reason: `Cluster successfully provisioned with ${messages.nodesText(instances.length)}`,
    fields: { cluster_ever_up: 1, busy_request: null },
  });
  if (!isUp) throw changedMeanwhile(row.name);
  request.log.write(`Cluster ${row.name} is up.`);
  log.line(messages.clusterLaunched(row.name));
  log.spinEnd();
  const upRow = await findCluster(context.db, row.name);
  if (upRow === undefined) throw changedMeanwhile(row.name);
  return toCluster(upRow);
}

async function waitForInstances(target: Target, context: OperationContext): Promise<readonly Instance[]> {
  const { row, cloud } = target;
  const deadline = context.clock.now() + INSTANCE_WAIT_MS;
  for (;;) {
    const seen = await cloud.query(clusterRef(row), cloudContext(context));
    const running = seen.filter((instance) => instance.state === "running").sort((a, b) => a.index - b.index);
    if (running.length >= row.num_nodes) return running;
    if (context.clock.now() > deadline) {
      throw new OperationFailedError(
        `Only ${running.length} of ${row.num_nodes} instances of ${row.name} run after ${INSTANCE_WAIT_MS / 60_000} minutes.`,
        { hint: `Look at them in the cloud's console, or remove them: sky down ${row.name}` },
      );
    }
    await context.clock.sleep(INSTANCE_POLL_MS, { signal: context.signal });
  }
}

/** No place took the cluster: says why, and forgets a cluster that never ran. */
async function giveUp(
  request: Provision,
  failures: readonly Failure[],
  context: OperationContext,
): Promise<ResourcesUnavailableError> {
  const { body, plan } = request;
  const { log } = context;
  log.line(messages.provisionFailed(body.cluster_name));
  log.spinEnd();
  const row = await findCluster(context.db, body.cluster_name);
  if (row !== undefined && row.cluster_hash === plan.clusterHash) await settleFailure(row, failures, context);
  const wish = failures.map(({ attempt }) => resourcesText(attempt.offer, plan.numNodes, true));
  const lines = [
    `Failed to provision all possible launchable resources. Relax the task's resource requirements: ${[...new Set(wish)].join(", ")}`,
    "To keep retrying until the cluster is up, use the `--retry-until-up` flag.",
    "Reasons for provision failures (for details, please check the log above):",
    `Provision failures (tried ${failures.length} infra):`,
    ...failures.flatMap(({ attempt, reason }) => [
      "",
      `✗ ${infraText(attempt.displayName, attempt.offer)} — ${resourcesText(attempt.offer, plan.numNodes, false)}`,
      `  ${reason}`,
    ]),
  ];
  const hints = [...new Set(failures.flatMap((failure) => failure.hint ?? []))];
  return new ResourcesUnavailableError(lines.join("\n"), {
    noFailover: failures.some((failure) => failure.isFinal),
    ...(hints.length === 0 ? {} : { hint: hints.join("\n") }),
  });
}

async function settleFailure(row: ClusterRow, failures: readonly Failure[], context: OperationContext): Promise<void> {
  const reason = `Provision failed: ${failures.at(-1)?.reason ?? "no place was tried"}`;
  if (row.cluster_ever_up === 0) {
    await removeCluster(context, row, reason);
    return;
  }
  await recordEvent(context, row, { type: "DEBUG", to: row.status, reason });
  await moveTo(context, row, { to: "STOPPED", phase: "ready", reason, fields: { busy_request: null } });
}
