import type { ClusterRow } from "../../db/queries/clusters.ts";
import type { NodeWish, Offer } from "../ports/cloud.ts";
import { clusterSsh, ensureClusterKey } from "../provision/cluster-key.ts";
import { DEFAULT_DISK_SIZE_GIB, type Resources } from "../resources/resources.ts";
import { resolveAutostop } from "./autostop-settings.ts";
import type { Attempt } from "./cluster-row.ts";

/** The part of the wish that the row keeps, so that nodes which are made later are like the first ones. */
type KeptWish = Omit<NodeWish, "publicKeys" | "userName" | "userHash" | "workspace" | "clusterHash">;

/** What the task asks of each node at the place of an attempt. */
export function nodeWishOf({ task, body, place }: Attempt): KeptWish {
  const resources = task?.resources.candidates[place.candidate];
  const autostop = resolveAutostop(body, resources?.autostop);
  const onPowerOff = autostop?.down === true && autostop.idleMinutes >= 0 ? "terminate" : "stop";
  if (resources === undefined) return { diskGib: DEFAULT_DISK_SIZE_GIB, onPowerOff };
  const imageId = imageOf(resources, place.offer);
  return {
    diskGib: resources.diskSizeGib ?? DEFAULT_DISK_SIZE_GIB,
    onPowerOff,
    ...(resources.diskTier === undefined ? {} : { diskTier: resources.diskTier }),
    ...(resources.networkTier === undefined ? {} : { networkTier: resources.networkTier }),
    ...(imageId === undefined ? {} : { imageId }),
    ...(resources.clusterConfigOverrides === undefined ? {} : { config: resources.clusterConfigOverrides }),
  };
}

/** The image for the region: a map names one for each, or one for all. The container of a task comes on top of it. */
function imageOf({ imageId }: Resources, { region }: Offer): string | undefined {
  return imageId?.get(region) ?? imageId?.get(null) ?? imageId?.get("docker");
}

/** The wish with who may log in and whose it is. */
export function fullNodeWish(row: ClusterRow): NodeWish {
  const kept = JSON.parse(row.node_wish) as Partial<KeptWish>;
  return {
    diskGib: DEFAULT_DISK_SIZE_GIB,
    onPowerOff: "stop",
    ...kept,
    publicKeys: () =>
      row.secret_path === null ? [] : [ensureClusterKey(clusterSsh(row.secret_path), row.name_on_cloud)],
    userName: row.user_name,
    userHash: row.user_hash,
    workspace: row.workspace,
    clusterHash: row.cluster_hash,
  };
}
