import { join } from "node:path";
import { findCluster, updateCluster } from "../../db/queries/clusters.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { AgentError, InvalidValueError, NotAvailableYetError, ResourcesUnavailableError } from "../../shared/errors.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { warnAboutSession } from "../check/sessions.ts";
import { describePlan, type PlannedPlacement } from "../optimizer/operation.ts";
import { greet } from "../provision/renew.ts";
import { findStandingMounts, refuseCopiesInto } from "../storage/standing-mounts.ts";
import { requireStorage, syncStorage } from "../storage/sync-storage.ts";
import type { Task } from "../task/task.ts";
import { applyAutostop, requireAutostop, resolveAutostop } from "./autostop-settings.ts";
import type { LaunchBody } from "./bodies.ts";
import { clusterRef, cloudContext, toCluster, type Cluster } from "./cluster.ts";
import { narrowToClone, saveForClone, whileCloned, type Clone } from "./clone-disk.ts";
import { prepareContainer } from "./container.ts";
import { ensureCurrentAgents } from "./current-agents.ts";
import { submittedResult, type LaunchResult } from "./launch-result.ts";
import * as messages from "./messages.ts";
import { checkClusterName } from "./names.ts";
import { newPorts, planLaunch, type LaunchPlan } from "./plan.ts";
import { provisionCluster } from "./provision-cluster.ts";
import { openRunLog, runLogDir } from "./provision-log.ts";
import { prepareResize } from "./resize.ts";
import { submitJob } from "./submit.ts";
import { requireSources, syncFileMounts, syncWorkdir } from "./sync-files.ts";
import { configHash, readTask, type TaskInput } from "./task-input.ts";
import { noteProgress } from "./transition.ts";
import { waitForAutostop, withClusterLock } from "./waiting.ts";

const RETRY_MS = 30_000;

export const launchOperation: Operation<LaunchBody, LaunchResult> = {
  name: "clusters.launch",
  wireName: "launch",
  schedule: "long",
  isResumable: true,
  run: runLaunch,
};

async function runLaunch(body: LaunchBody, context: OperationContext): Promise<LaunchResult> {
  checkClusterName(body.cluster_name);
  refuseReserved(body, "Launching tasks on it is not allowed.");
  const { input, clone } = await readInput(body, context);
  await requireSources(input.task, context);
  if (body.dryrun !== true) await requireStorage(input.task, body.cluster_name, context);
  await waitForAutostop(body.cluster_name, context);
  if (body.dryrun === true) return dryRun(body, input.task, context);
  return withClusterLock(body.cluster_name, context, () =>
    clone === undefined
      ? launchLocked({ body, input }, context)
      : whileCloned(clone, context, () => launchLocked({ body, input, clone }, context)),
  );
}

interface Input {
  readonly input: TaskInput;
  /** The cluster whose disk the new one starts from. */
  readonly clone?: Clone;
}

async function readInput(body: LaunchBody, context: OperationContext): Promise<Input> {
  const input = readTask(body.task, context);
  const { clone_disk_from: from, cluster_name: clusterName } = body;
  if (typeof from !== "string") return { input };
  const { task, clone } = await narrowToClone(input.task, { from, clusterName }, context);
  return { input: { ...input, task }, clone };
}

/** Names of clusters that the product itself runs. */
export function refuseReserved(body: { readonly cluster_name: string }, what: string): void {
  const name = body.cluster_name;
  const owner = /^sky-(jobs|serve)-controller-/.exec(name)?.[1];
  if (owner === undefined) return;
  const of = owner === "jobs" ? "managed jobs controller" : "sky serve controller";
  throw new InvalidValueError(`Cluster ${name} is reserved for ${of}. ${what}`);
}

async function dryRun(body: LaunchBody, task: Task, context: OperationContext): Promise<LaunchResult> {
  let planned: PlannedPlacement | undefined;
  const plan = await planLaunch(body, task, context, { onPlaced: (placed) => (planned = placed) });
  showTable(plan, context);
  context.log.line("Dryrun finished.");
  if (planned === undefined) return { job_id: null, handle: null };
  const described = await describePlan(planned, { explain: body.explain ?? false, flags: body }, context);
  return { job_id: null, handle: null, plan: described };
}

function showTable(plan: LaunchPlan, context: OperationContext): void {
  if (plan.table.length > 0) context.log.line(plan.table.join("\n"));
}

async function launchLocked(launch: Omit<Round, "round">, context: OperationContext): Promise<LaunchResult> {
  const { body } = launch;
  for (let round = 0; ; round++) {
    try {
      return await launchRound({ ...launch, round }, context);
    } catch (error) {
      const isRetried = body.retry_until_up === true && error instanceof ResourcesUnavailableError && !error.noFailover;
      if (!isRetried) throw error;
      await waitForRetry(round, context);
    }
  }
}

/** Journaled, so that a launch that goes on after a restart does not wait again for every round that it had. */
async function waitForRetry(round: number, context: OperationContext): Promise<void> {
  const text = `Retry after ${RETRY_MS / 1000}s`;
  // A launch may be repeated for days: its log tells it once, the spinner each time.
  if (round === 0) context.log.line(`↺ ${text}`);
  else context.log.spin(messages.spinner(`No place had room ${round + 1} times. ${text}`));
  await context.effect(`retry-wait.r${round}`, async () => {
    context.requests.setWaiting(`Retrying provisioning after ${RETRY_MS / 1000}s`);
    await context.clock.sleep(RETRY_MS, { signal: context.signal });
    context.requests.setWaiting(undefined);
  });
}

interface Round extends Input {
  readonly body: LaunchBody;
  readonly round: number;
}

async function launchRound(launch: Round, context: OperationContext): Promise<LaunchResult> {
  const { body, input, round } = launch;
  const suffix = round === 0 ? "" : `.r${round}`;
  context.log.spin(messages.spinner("Optimizing"));
  const plan = await context.effect(`plan${suffix}`, () => planLaunch(body, input.task, context));
  if (body.quiet_optimizer !== true && round === 0) showTable(plan, context);
  await refuseUnlaunchable(plan, context);
  await refuseAutostop(launch, plan, context);
  warnAboutSpot(body, plan, context);
  const planned = { ...launch, plan, input: await withImage(launch, context) };
  const ready = await provisionOrReuse(planned, context);
  return runStages({ ...planned, ...ready }, context);
}

/** A clone starts from an image that is made once it is clear that it will be used. */
async function withImage({ input, clone }: Round, context: OperationContext): Promise<TaskInput> {
  return clone === undefined ? input : { ...input, task: await saveForClone(input.task, clone, context) };
}

/** A cloud may be able to say what nodes would cost before this release can run them. */
async function refuseUnlaunchable(plan: LaunchPlan, context: OperationContext): Promise<void> {
  const place = plan.attempts[0];
  if (place === undefined || (await context.clouds.load(place.offer.cloud)).hasNodes !== false) return;
  throw new NotAvailableYetError(`Launching on ${place.displayName} is not available yet; nothing was started.`, {
    hint: "--dryrun shows the plan and its price. This machine can run tasks: --infra local",
  });
}

/** A cluster that is to stop when it is idle needs nodes that can. */
async function refuseAutostop({ body, input }: Round, plan: LaunchPlan, context: OperationContext): Promise<void> {
  const place = plan.attempts[0];
  if (place === undefined) return;
  const autostop = resolveAutostop(body, input.task.resources.candidates[place.candidate]?.autostop);
  if (autostop === undefined || autostop.idleMinutes < 0 || autostop.down) return;
  requireAutostop(place.offer, await context.clouds.load(place.offer.cloud));
}

function warnAboutSpot(body: LaunchBody, plan: LaunchPlan, context: OperationContext): void {
  if (plan.kind !== "new" || plan.attempts[0]?.offer.useSpot !== true || body.is_launched_by_jobs_controller) return;
  context.log.line(
    messages.yellow(
      "Launching a spot job that does not automatically recover from preemptions. To get automatic recovery, use managed job instead: sky jobs launch or sky.jobs.launch().",
    ),
  );
}

interface Planned extends Round {
  readonly plan: LaunchPlan;
}

interface Ready {
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
  /** The nodes were up already, so that nothing was provisioned. */
  readonly isProvisioned: boolean;
}

async function provisionOrReuse(launch: Planned, context: OperationContext): Promise<Ready> {
  const { plan, body, input } = launch;
  const name = body.cluster_name;
  const healthy = await reuseHealthy(launch, context);
  if (healthy !== undefined) return healthy;
  const log = openRunLog(join(runLogDir(context.home, plan.runTimestamp), "provision.log"), context.clock);
  if (plan.previousStatus !== null && plan.previousStatus !== "UP") {
    const place = plan.attempts[0];
    const region = place === undefined ? "" : `${place.displayName} (${place.offer.region})`;
    context.log.line(`Cluster '${name}' (status: ${plan.previousStatus}) was previously in ${region}. Restarting.`);
  }
  await prepareResize(name, plan, context);
  const { task, displayYaml } = input;
  const cluster = await provisionCluster({ body, task, displayYaml, plan, log, round: launch.round }, context);
  const agent = await context.agents.connect(name, { signal: context.signal });
  if (plan.previousStatus === "STOPPED") {
    await context.effect("fail-unfinished", async (token) => {
      await agent.call("fail_unfinished", { key: token }, { signal: context.signal });
    });
  }
  return { cluster, agent, isProvisioned: true };
}

/** An existing cluster whose nodes are all there is used as it is: its status never leaves UP. */
async function reuseHealthy(launch: Planned, context: OperationContext): Promise<Ready | undefined> {
  const { plan, body } = launch;
  if (plan.kind !== "reuse" || plan.previousStatus !== "UP") return undefined;
  const row = await findCluster(context.db, body.cluster_name);
  if (row === undefined || row.num_nodes !== plan.numNodes) return undefined;
  const cluster = toCluster(row);
  const agent = await connectIfComplete(cluster, context);
  if (agent === undefined) return undefined;
  const place = plan.attempts[0];
  if (place !== undefined) context.log.line(messages.launchingOn(place.displayName, place.offer));
  await openNewPorts(cluster, plan, context);
  const { container } = cluster.offer;
  context.log.line(messages.instancesAreUp(row.num_nodes, container === undefined));
  await prepareContainer({ cluster, agent, task: launch.input.task }, context);
  if (container !== undefined) context.log.line(messages.CONTAINER_IS_UP);
  context.log.line(messages.clusterLaunched(row.name));
  context.log.spinEnd();
  return { cluster, agent, isProvisioned: false };
}

async function connectIfComplete(cluster: Cluster, context: OperationContext): Promise<AgentPeer | undefined> {
  try {
    const agent = await context.agents.connect(cluster.row.name, { signal: context.signal });
    const hello = await greet(agent, context.signal);
    if (hello.nodes.filter((node) => node.isAlive).length < cluster.row.num_nodes) return undefined;
    return await ensureCurrentAgents(cluster, agent, context);
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

async function openNewPorts(cluster: Cluster, plan: LaunchPlan, context: OperationContext): Promise<void> {
  const ports = newPorts(cluster, plan.ports);
  if (ports.length === 0) return;
  const { row } = cluster;
  context.log.spin(messages.launchSpinner("Launching - Opening new ports", row.name));
  const cloud = await context.clouds.load(row.cloud);
  await context.effect("open-ports", async () => {
    await cloud.openPorts?.(clusterRef(row), ports, cloudContext(context));
    await updateCluster(context.db, row.cluster_hash, { ports: JSON.stringify(plan.ports) });
  });
}

interface Staged extends Planned, Ready {}

async function runStages(launch: Staged, context: OperationContext): Promise<LaunchResult> {
  const { body, input, plan, cluster, agent } = launch;
  const { task } = input;
  const { runTimestamp } = plan;
  const resources = task.resources.candidates[plan.attempts[0]?.candidate ?? 0];
  if (resources === undefined) throw new InvalidValueError("The task has no resources.");
  const metadata = await syncFiles(launch, context);
  const withSetup = await decideSetup(launch, context);
  const autostop = resolveAutostop(body, resources.autostop);
  const { row } = cluster;
  const stored = { idleMinutes: row.autostop, down: row.to_down !== 0, waitFor: row.wait_for as "jobs" };
  if (autostop !== undefined || task.hooks.length > 0) {
    await applyAutostop({ cluster, agent, hooks: task.hooks }, autostop ?? stored, context);
    if (body.down === true && autostop !== undefined) {
      context.log.line(
        `The cluster will be torn down after ${autostop.idleMinutes} minutes of idleness (after all jobs finish).`,
      );
    }
  }
  await warnAboutSession(cluster, { ...(autostop ?? stored), startsJob: true }, context);
  const command = body.entrypoint_command;
  const jobId = await submitJob(
    { cluster, agent, task, resources, runTimestamp, withSetup, isExec: false, metadata, command },
    context,
  );
  await updateCluster(context.db, cluster.row.cluster_hash, { config_hash: configHash(task, resources) });
  return submittedResult(cluster, jobId, context);
}

async function syncFiles(launch: Staged, context: OperationContext): Promise<Readonly<Record<string, unknown>>> {
  const { cluster, agent, input, plan } = launch;
  const { task } = input;
  const mounts = { ...task.fileMounts, ...task.storageMounts };
  if (task.workdir === undefined && Object.keys(mounts).length === 0) return {};
  const standing = await findStandingMounts(cluster, agent, context);
  refuseCopiesInto(standing, task);
  const sync = { cluster, agent, task, runTimestamp: plan.runTimestamp, standing };
  context.log.line(messages.step("Syncing files."));
  await noteProgress(context, cluster.row, "ready", "Syncing files to cluster");
  const metadata = await syncWorkdir(sync, context);
  await syncFileMounts(sync, context);
  await syncStorage({ ...sync, command: launch.body.entrypoint_command ?? null }, context);
  return metadata;
}

/** Setup runs on every launch unless it is turned off, or `--fast` finds that nothing changed; the log says which. */
async function decideSetup(launch: Staged, context: OperationContext): Promise<boolean> {
  const { body, input, cluster, plan, isProvisioned } = launch;
  const { task } = input;
  if (task.setup === undefined || task.setup === "") return false;
  if (body.no_setup === true) {
    context.log.line("Setup commands skipped.");
    return false;
  }
  const resources = task.resources.candidates[plan.attempts[0]?.candidate ?? 0];
  const isSame = resources !== undefined && cluster.row.config_hash === configHash(task, resources);
  // The decision is journaled: the hash that it looks at is written at the end of this very launch.
  const isSkipped = await context.effect("skip-setup", () =>
    Promise.resolve(body.fast === true && !isProvisioned && isSame),
  );
  if (isSkipped) {
    context.log.line("Setup commands skipped (--fast: the cluster is up and setup has not changed).");
    return false;
  }
  await noteProgress(context, cluster.row, "ready", "Running setup commands to install dependencies");
  context.log.line(messages.success("Setup detached."));
  return true;
}
