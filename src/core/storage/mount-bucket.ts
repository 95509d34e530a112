import { saveClusterMount } from "../../db/queries/cluster-mounts.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { SkyError, StorageBucketGetError } from "../../shared/errors.ts";
import { cloudContext, type Cluster } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import { openStore } from "./access.ts";
import { storageFailure } from "./failed.ts";
import { isReadOnlyMount, toMountSpec } from "./mount-spec.ts";
import { toLentKeys } from "./mount-keys.ts";
import type { BucketMount } from "./mounts.ts";
import { pinnedMounters } from "./mounters.ts";

/** A bucket that a cluster's nodes are to see as a directory. */
export interface MountTarget {
  readonly mount: BucketMount;
  readonly region: string;
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
}

/** Makes a bucket appear on every node, with keys for it alone. May be repeated. */
export async function mountBucket(target: MountTarget, context: OperationContext): Promise<void> {
  const { mount, region, cluster, agent } = target;
  const { row } = cluster;
  const as = cloudContext(context);
  const isSequential = isSequentialUpload(context.config);
  const plain = toMountSpec(mount, { region, endpoint: undefined, credentials: "lent", isSequential });
  const { keys, endpoint } = await context.mountKeys.lend(row, { store: mount.store, spec: plain }, as);
  const spec = toMountSpec(mount, { region, endpoint, credentials: "lent", isSequential });
  // The row comes first: for what is in it the nodes may get keys again.
  await saveClusterMount(context.db, {
    cluster_hash: row.cluster_hash,
    dest: mount.dest,
    store: mount.store,
    spec: JSON.stringify(spec),
  });
  context.mountKeys.remember(row.cluster_hash, as);
  const mounts = [{ spec, keys: toLentKeys(keys) }];
  await agent.call("mount", { key: context.requestId, mounts, mounters: pinnedMounters }, { signal: context.signal });
  // For as long as the connection lasts, which is longer than this request.
  void context.mountKeys.follow(row.name, agent);
}

/**
 * Looks before anything is launched whether nodes can get keys for the buckets, and says where from. Throws StorageBucketGetError with what to
 * do where they cannot.
 */
export async function requireKeys(
  mounts: readonly BucketMount[],
  clusterName: string,
  context: OperationContext,
): Promise<void> {
  const ways = new Set<string>();
  for (const mount of mounts) {
    const { store, as } = await openStore(mount.store, context);
    const place = { bucket: mount.bucket, region: store.defaultRegion, prefix: mount.prefix };
    const sessionName = `sky-${clusterName}`.slice(0, 32);
    try {
      const { keys } = await store.lendKeys(place, { isReadOnly: isReadOnlyMount(mount), sessionName, context: as });
      ways.add(keys.how);
    } catch (error) {
      if (!(error instanceof SkyError)) throw error;
      throw storageFailure(StorageBucketGetError, error, {
        what: `${mount.uri} cannot be mounted at ${mount.dest}.`,
        hint: "Use `mode: COPY`.",
      });
    }
  }
  for (const how of ways) {
    context.log.line(`Nodes mount buckets with keys for these alone, by ${how}; this server renews them.`);
  }
}

function isSequentialUpload(config: Readonly<Record<string, unknown>>): boolean {
  const cached = sectionOf(sectionOf(config, "data"), "mount_cached");
  return cached["sequential_upload"] === true;
}

function sectionOf(value: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const section = value[key];
  return typeof section === "object" && section !== null ? (section as Readonly<Record<string, unknown>>) : {};
}
