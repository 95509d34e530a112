import type { ClusterRow } from "../../db/queries/clusters.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, FoundCluster, Offer } from "../ports/cloud.ts";
import { secretPath } from "../provision/cluster-secret.ts";
import { cloudContext } from "./cluster.ts";

/**
 * The row of a cluster as its resources on the cloud tell of it. Whether its nodes can be used depends on the key and the secret,
 * which are found by the cluster's hash in the server's state directory. Throws InvalidValueError for what we cannot have made.
 */
export async function adoptedRow(
  { cloud, found }: { readonly cloud: Cloud; readonly found: FoundCluster },
  context: OperationContext,
): Promise<ClusterRow> {
  const { ref, instances, origin } = found;
  if (origin === undefined || instances.length === 0) {
    throw new InvalidValueError(
      `${ref.nameOnCloud} was not launched by this program, or only its firewall rules are left.`,
    );
  }
  const offer = await offerOf({ cloud, found }, context);
  const isStopped = instances.every((one) => one.state === "stopped");
  const now = context.clock.now();
  const startedAt = instances.flatMap((one) => one.startedAtMs ?? []);
  return {
    name: ref.clusterName,
    cluster_hash: origin.clusterHash,
    name_on_cloud: ref.nameOnCloud,
    cloud: cloud.name,
    region: ref.region,
    zone: ref.zone,
    status: isStopped ? "STOPPED" : "INIT",
    phase: isStopped ? "ready" : "degraded",
    num_nodes: found.numNodes,
    offer: JSON.stringify(offer),
    per_node: JSON.stringify(instances[0]?.resources ?? offer.resources),
    instances: JSON.stringify(instances),
    requested_resources: "{}",
    ports: JSON.stringify(found.ports),
    labels: "{}",
    launched_at: startedAt.length === 0 ? now : Math.min(...startedAt),
    last_use: null,
    status_updated_at: now,
    autostop: -1,
    to_down: 0,
    wait_for: "jobs_and_ssh",
    owner: JSON.stringify(await cloud.identity(cloudContext(context))),
    user_hash: origin.userHash,
    user_name: found.userName,
    workspace: origin.workspace,
    cluster_ever_up: 1,
    last_creation_yaml: null,
    last_creation_command: null,
    provision_log_path: null,
    is_managed: 0,
    config_hash: null,
    last_event: "Found on the cloud and adopted.",
    price_usd_per_hour: offer.priceUsdPerHour,
    secret_path: secretPath(context.stateDir, origin.clusterHash),
    busy_request: null,
    node_wish: "{}",
  };
}

/** The place as it would be offered today, for its price and what its nodes have. */
async function offerOf(
  { cloud, found }: { readonly cloud: Cloud; readonly found: FoundCluster },
  context: OperationContext,
): Promise<Offer> {
  const { instanceType, useSpot, ref, instances } = found;
  const { region, zone } = ref;
  const wish = { numNodes: 1, region, instanceType, useSpot, accelerators: {}, ports: [], diskGib: 0 };
  const { offers } = await cloud.offers(wish, cloudContext(context));
  const [offer] = offers;
  if (offer !== undefined) return { ...offer, zone };
  const resources = instances[0]?.resources ?? { cpus: 0, memoryGib: 0, accelerators: {} };
  return { cloud: cloud.name, region, zone, instanceType, resources, useSpot, priceUsdPerHour: null };
}
