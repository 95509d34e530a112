import { findCluster, updateCluster } from "../../db/queries/clusters.ts";
import type { OperationContext } from "../operation.ts";
import type { Instance } from "../ports/cloud.ts";
import { bringUp } from "../provision/bring-up.ts";
import { ensureClusterToken, secretPath } from "../provision/cluster-secret.ts";
import { cloudContext, toCluster, type Cluster } from "./cluster.ts";
import { changedMeanwhile, effectName, requireRow, type Provision } from "./cluster-row.ts";
import { prepareContainer } from "./container.ts";
import * as messages from "./messages.ts";
import { moveTo, noteProgress } from "./transition.ts";

/** Brings the agents of running nodes up, and the cluster with them. */
export async function setUpNodes(
  request: Provision,
  instances: readonly Instance[],
  context: OperationContext,
): Promise<Cluster> {
  const { log } = context;
  const row = await requireRow(request, context);
  const cloud = await context.clouds.load(row.cloud);
  await updateCluster(context.db, row.cluster_hash, { instances: JSON.stringify(instances) });
  const { container } = toCluster(row).offer;
  log.line(messages.instancesAreUp(instances.length, container === undefined));
  request.log.write(`Instances: ${instances.map((one) => `${one.id} (${one.internalIp})`).join(", ")}`);
  const cluster = toCluster({ ...row, instances: JSON.stringify(instances) });
  await noteProgress(context, row, "runtime_setup", "Setting up SkyPilot runtime on cluster");
  log.spin(messages.launchSpinner("Preparing SkyPilot runtime (3/3 - runtime)", row.name));
  try {
    await context.effect(effectName(request, "bring-up"), async () => {
      const token = ensureClusterToken(secretPath(context.stateDir, row.cluster_hash));
      await bringUp({ cluster, cloud, token }, { ...context, cloudContext: cloudContext(context) });
    });
    await setUpContainer(request, cluster, context);
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

async function setUpContainer(request: Provision, cluster: Cluster, context: OperationContext): Promise<void> {
  const { container } = cluster.offer;
  if (container === undefined) return;
  request.log.write(`Preparing the container of ${container} on ${messages.nodesText(cluster.row.num_nodes)}.`);
  await context.effect(effectName(request, "container"), async () => {
    const agent = await context.agents.connect(cluster.row.name, { signal: context.signal });
    await prepareContainer({ cluster, agent, task: request.task }, context);
  });
  context.log.line(messages.CONTAINER_IS_UP);
}
