import { join } from "node:path";
import { ClusterDoesNotExistError, InvalidValueError } from "../../shared/errors.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { applyAutostop, resolveAutostop } from "./autostop-settings.ts";
import { requireMountedBuckets } from "../storage/lost-buckets.ts";
import type { StartBody } from "./bodies.ts";
import { cloudContext, requireCluster, toCluster, type Cluster } from "./cluster.ts";
import { ensureCurrentAgents } from "./current-agents.ts";
import { checkOwner } from "./owner.ts";
import { assertRestart, type LaunchPlan } from "./plan.ts";
import { provisionCluster } from "./provision-cluster.ts";
import { openRunLog, runLogDir, runTimestamp } from "./provision-log.ts";
import { toHandle, type Handle } from "./record.ts";
import { refreshLocked } from "./refresh.ts";
import { waitForAutostop, withClusterLock } from "./waiting.ts";

export const startOperation: Operation<StartBody, Handle> = {
  name: "clusters.start",
  wireName: "start",
  schedule: "long",
  isResumable: true,
  run: runStart,
};

async function runStart(body: StartBody, context: OperationContext): Promise<Handle> {
  const name = body.cluster_name;
  if (body.down === true && (body.idle_minutes_to_autostop ?? undefined) === undefined) {
    throw new InvalidValueError("--idle-minutes-to-autostop must be set if --down is set.");
  }
  await waitForAutostop(name, context);
  return withClusterLock(name, context, () => startLocked(body, context));
}

async function startLocked(body: StartBody, context: OperationContext): Promise<Handle> {
  const name = body.cluster_name;
  const before = await requireCluster(context.db, name);
  await checkOwner(before, context);
  const cloud = await context.clouds.load(before.row.cloud);
  const wireInfra = cloud.wireInfra(before.row.region, before.row.zone);
  // Journaled, because the row says UP or INIT when the request goes on after a restart.
  const plan = await context.effect("plan", async () => {
    const seen = await lookAgain(before, context);
    if (seen.row.status === "STOPPED") await assertRestart(seen, context);
    return planStart(seen, cloud.displayName, context);
  });
  if (plan.previousStatus === "UP" && body.force !== true) {
    const head = await context.agents.connect(name, { signal: context.signal });
    await ensureCurrentAgents(before, head, context);
    context.log.line(`Cluster ${name} already has status UP.`);
    return toHandle(before, wireInfra);
  }
  const log = openRunLog(join(runLogDir(context.home, plan.runTimestamp), "provision.log"), context.clock);
  const displayYaml = before.row.last_creation_yaml;
  const cluster = await provisionCluster({ body, task: undefined, displayYaml, plan, log, round: 0 }, context);
  const agent = await context.agents.connect(name, { signal: context.signal });
  if (plan.previousStatus === "STOPPED") {
    await context.effect("fail-unfinished", async (token) => {
      await agent.call("fail_unfinished", { key: token }, { signal: context.signal });
    });
  }
  const autostop = resolveAutostop(body);
  if (autostop !== undefined) await applyAutostop({ cluster, agent }, autostop, context);
  await requireMountedBuckets(cluster.row, context);
  return toHandle(cluster, wireInfra);
}

/** A cluster that is up in its row may be off in truth, e.g. after a reboot. */
async function lookAgain(cluster: Cluster, context: OperationContext): Promise<Cluster> {
  const { row } = cluster;
  if (row.status !== "UP") return cluster;
  const seen = await refreshLocked(row, context, cloudContext(context));
  if (seen !== undefined) return toCluster(seen);
  throw new ClusterDoesNotExistError(`Cluster '${row.name}' does not exist any more: all its nodes were terminated.`, {
    hint: "Launch it again with `sky launch`.",
  });
}

function planStart(cluster: Cluster, displayName: string, context: OperationContext): LaunchPlan {
  const { row, offer, ports } = cluster;
  const now = context.clock.now();
  return {
    kind: "reuse",
    clusterHash: row.cluster_hash,
    runTimestamp: runTimestamp(now),
    launchedAt: now,
    // Up, but without agents that answer on every node: it has to be set up again.
    previousStatus: row.status === "UP" && row.phase !== "ready" ? "INIT" : row.status,
    numNodes: row.num_nodes,
    previousNumNodes: row.num_nodes,
    mayMove: false,
    attempts: [{ candidate: 0, offer, displayName }],
    table: [],
    ports,
  };
}
