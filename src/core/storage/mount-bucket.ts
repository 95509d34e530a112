import { confirmClusterMount, saveClusterMount, type ClusterMountRow } from "../../db/queries/cluster-mounts.ts";
import type { LentKeys, MountParams, MountSpec } from "../../shared/agent/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { SkyError, StorageBucketGetError } from "../../shared/errors.ts";
import { cloudContext, type Cluster } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { Borrower, LentCredentials } from "../ports/cloud.ts";
import type { PlaceKeys } from "../ports/object-store.ts";
import { openStore } from "./access.ts";
import { storageFailure } from "./failed.ts";
import { isReadOnlyMount, toMountSpec } from "./mount-spec.ts";
import { toLentKeys } from "./mount-keys.ts";
import type { BucketMount } from "./mounts.ts";
import { bringMounter } from "./bring-mounter.ts";
import { replacing } from "./mounted-places.ts";

/** A bucket that a cluster's nodes are to see as a directory. */
export interface MountTarget {
  readonly mount: BucketMount;
  readonly region: string;
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
  /** What the cluster had there when the launch began. */
  readonly before: ClusterMountRow | undefined;
}

/**
 * Makes a bucket appear on every node: by what the nodes may do themselves where they belong to the store's cloud, else with keys for it
 * alone. May be repeated.
 */
export async function mountBucket(target: MountTarget, context: OperationContext): Promise<void> {
  try {
    await mountByRoleOrKeys(target, context);
  } catch (error) {
    // What is there still has something to send, for which it needs its keys.
    const isRefused = error instanceof AgentPeerError && error.agentCode === "MOUNT_UNSENT";
    if (isRefused && target.before !== undefined) await putBack(target.before, target, context);
    throw error;
  }
}

/** Other nodes had nothing to send, and may have made the change already. */
async function putBack(
  before: ClusterMountRow,
  { cluster, agent }: MountTarget,
  context: OperationContext,
): Promise<void> {
  await saveClusterMount(context.db, before);
  const spec = JSON.parse(before.spec) as MountSpec;
  try {
    const lent =
      spec.credentials === "lent"
        ? await context.mountKeys.lend(cluster.row, { store: before.store, spec }, cloudContext(context))
        : undefined;
    const mounts = [{ spec, ...(lent === undefined ? {} : { keys: toLentKeys(lent.keys) }) }];
    const params = { key: `${context.requestId}-back`, mounts, mounters: await context.mounters.pins() };
    await agent.call("mount", { ...params, acceptsOld: true }, { signal: context.signal });
  } catch (error) {
    if (!(error instanceof SkyError) || context.signal.aborted) throw error;
    context.log.line(`WARNING: ${before.dest} is not as it was on every node: ${error.message}`);
  }
}

async function mountByRoleOrKeys(target: MountTarget, context: OperationContext): Promise<void> {
  const { mount, region, cluster } = target;
  const store = await context.stores.load(mount.store);
  const as = cloudContext(context);
  const place = { scheme: store.scheme, region, endpoint: undefined, config: context.config };
  const wanted = { store: mount.store, spec: toMountSpec(mount, { ...place, credentials: "lent" }) };
  const lent = await unlessRefused(context.mountKeys.lend(cluster.row, wanted, as));
  const byKeys = (endpoint: string | undefined): MountSpec =>
    toMountSpec(mount, { ...place, endpoint, credentials: "lent" });
  const mayBeOwn = cluster.row.cloud === store.cloud && (lent instanceof SkyError || !lent.keys.isConfigured);
  if (mayBeOwn && (lent instanceof SkyError || !(await hasMounted(byKeys(lent.endpoint), target, context)))) {
    const endpoint = await store.endpoint(as);
    const own = toMountSpec(mount, { ...place, endpoint, credentials: "node" });
    const refusal = await unlessDenied(mountOnNodes(target, { spec: own }, context));
    if (refusal === undefined) return;
    if (lent instanceof SkyError) throw cannotMountEither(mount, { byRole: refusal, byKeys: lent });
    context.log.line(
      `  The nodes' own role does not reach ${mount.uri}: they get keys for it alone, by ${lent.keys.how}.`,
    );
  }
  if (lent instanceof SkyError) throw cannotMount(mount, lent);
  const { keys, endpoint } = lent;
  context.mountKeys.remember(cluster.row.cluster_hash, as);
  await mountOnNodes(target, { spec: byKeys(endpoint), keys: toLentKeys(keys) }, context);
  // For as long as the connection lasts, which is longer than this request.
  void context.mountKeys.follow(cluster.row.name, target.agent);
}

/** Whether a launch before has just this up on every node: to try the nodes' role would take it from under running jobs. */
async function hasMounted(
  spec: MountSpec,
  { cluster, agent, before }: MountTarget,
  context: OperationContext,
): Promise<boolean> {
  // Nobody knows what it is that is up where a launch was cut off.
  if (before?.spec !== JSON.stringify(spec) || (before.replaces ?? null) !== null) return false;
  const { mounts } = await agent.call("mount_states", {}, { signal: context.signal });
  const up = mounts.filter(({ dest, state }) => dest === spec.dest && state === "mounted");
  return up.length === cluster.row.num_nodes;
}

async function mountOnNodes(
  { mount, cluster, agent, before }: MountTarget,
  wanted: { readonly spec: MountSpec; readonly keys?: LentKeys },
  context: OperationContext,
): Promise<void> {
  const params = { key: context.requestId, mounts: [wanted], mounters: await context.mounters.pins() };
  const row = {
    cluster_hash: cluster.row.cluster_hash,
    dest: mount.dest,
    store: mount.store,
    spec: JSON.stringify(wanted.spec),
  };
  // The row comes first: for what is in it the nodes may get keys again. What was there before stays in it until it has certainly gone.
  await saveClusterMount(context.db, { ...row, replaces: replacing(row, before) });
  await bringMount(params, agent, context);
  await confirmClusterMount(context.db, row);
}

async function bringMount(
  params: Omit<MountParams, "acceptsOld">,
  agent: AgentPeer,
  context: OperationContext,
): Promise<void> {
  const mountIt = (acceptsOld: boolean): Promise<object> =>
    agent.call("mount", { ...params, acceptsOld }, { signal: context.signal });
  const missing = await unlessMissing(mountIt(false));
  if (missing === undefined) return;
  const neither = await unlessMissing(bringMounter(missing, agent, context));
  if (neither === undefined) return void (await mountIt(false));
  if ((await unlessMissing(mountIt(true))) !== undefined) throw neither;
  context.log.line(`  Nodes mount by the rclone that is installed there, which is old. ${neither.message}`);
}

/** The refusal of who has no program that mounts. */
async function unlessMissing(work: Promise<unknown>): Promise<AgentPeerError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof AgentPeerError && error.agentCode === "MOUNTER_MISSING") return error;
    throw error;
  }
}

/**
 * Looks before anything is launched how nodes can get at the buckets, and says so. Throws StorageBucketGetError with what to do where they cannot, wherever
 * the task may run.
 */
export async function requireKeys(
  mounts: readonly BucketMount[],
  where: { readonly cluster: Borrower; readonly clouds: readonly (string | undefined)[] },
  context: OperationContext,
): Promise<void> {
  const lines = new Set<string>();
  for (const mount of mounts) {
    const { store, as } = await openStore(mount.store, context);
    const place = { bucket: mount.bucket, region: store.defaultRegion, prefix: mount.prefix };
    const { cluster } = where;
    const sessionName = `sky-${cluster.clusterName}`.slice(0, 32);
    const wish = { isReadOnly: isReadOnlyMount(mount), sessionName, cluster, context: as };
    const lent = await unlessRefused(store.lendKeys(place, wish));
    const { displayName, isStoreOnly } = await context.clouds.load(store.cloud);
    const mayBeOwn = isStoreOnly !== true && where.clouds.some((cloud) => cloud === undefined || cloud === store.cloud);
    const isElsewhere = where.clouds.some((cloud) => cloud !== store.cloud);
    if (lent instanceof SkyError) {
      if (!mayBeOwn) throw cannotMount(mount, lent);
      const elsewhere = `on others this launch will fail: ${lent.message} ${lent.hint ?? ""}`.trimEnd();
      lines.add(`Only nodes on ${displayName} can mount ${mount.uri}, by their own role; ${elsewhere}`);
    } else {
      lines.add(wayOf(lent.keys, { cloud: displayName, mayBeOwn, isElsewhere }));
    }
  }
  for (const line of lines) context.log.line(line);
}

function wayOf(
  { how, isConfigured, isUncut }: LentCredentials,
  at: { readonly cloud: string; readonly mayBeOwn: boolean; readonly isElsewhere: boolean },
): string {
  if (isUncut === true) return `Nodes mount buckets with ${how}, in memory alone.`;
  const byKeys = `keys for these alone, by ${how}; this server renews them.`;
  if (isConfigured || !at.mayBeOwn) return `Nodes mount buckets with ${byKeys}`;
  const own = at.isElsewhere ? `Nodes on ${at.cloud} mount` : "Nodes mount";
  return `${own} buckets by their own role where it reaches them, else with ${byKeys}`;
}

/** The answer, or the refusal of the provider or of the adapter. */
async function unlessRefused(asking: Promise<PlaceKeys>): Promise<PlaceKeys | SkyError> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof SkyError) return error;
    throw error;
  }
}

/** What a node answered that may not read the bucket. */
async function unlessDenied(mounting: Promise<void>): Promise<AgentPeerError | undefined> {
  try {
    await mounting;
    return undefined;
  } catch (error) {
    if (error instanceof AgentPeerError && error.agentCode === "MOUNT_DENIED") return error;
    throw error;
  }
}

function cannotMount(mount: BucketMount, reason: SkyError): Error {
  const what = `${mount.uri} cannot be mounted at ${mount.dest}.`;
  return storageFailure(StorageBucketGetError, reason, { what, hint: "Use `mode: COPY`." });
}

/** Where nodes may be let in in two ways, and neither is open. */
function cannotMountEither(
  mount: BucketMount,
  { byRole, byKeys }: { readonly byRole: SkyError; readonly byKeys: SkyError },
): Error {
  return new StorageBucketGetError(
    `${mount.uri} cannot be mounted at ${mount.dest}. By the nodes' own role: ${byRole.message} With keys: ${byKeys.message}`,
    {
      cause: byKeys,
      hint: `Let the nodes' role use the bucket (\`sky aws policy --tier node\` prints its rights), then launch again. Or: ${byKeys.hint ?? "use `mode: COPY`."}`,
    },
  );
}
