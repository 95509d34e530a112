import { join } from "node:path";
import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { Cluster } from "../clusters/cluster.ts";
import * as messages from "../clusters/messages.ts";
import { openRunLog, runLogDir, type RunLog } from "../clusters/provision-log.ts";
import type { OperationContext } from "../operation.ts";
import { findBorrower } from "./borrower.ts";
import { ensureBucket, requireBucket } from "./buckets.ts";
import { chooseStores } from "./choose-store.ts";
import { copyBucket, copyWebFile } from "./copy.ts";
import { mountBucket, requireKeys } from "./mount-bucket.ts";
import { isMounted, remoteMounts, type BucketMount, type RemoteMount } from "./mounts.ts";
import type { StandingMounts } from "./standing-mounts.ts";
import { uploadSources } from "./upload.ts";
import type { Task } from "../task/task.ts";

export interface StorageSync {
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
  readonly task: Task;
  readonly runTimestamp: string;
  readonly command: string | null;
  readonly standing: StandingMounts;
}

/** Looks at the task's buckets once, so that no node is brought up for one that cannot be used. */
export async function requireStorage(
  task: Pick<Task, "fileMounts" | "storageMounts" | "resources">,
  clusterName: string,
  context: OperationContext,
): Promise<void> {
  if (remoteMounts(task).every((mount) => mount.kind !== "bucket")) return;
  // When the request goes on after a restart, buckets that it has made itself are there.
  await context.effect("check-storage", async () => {
    const mounts = remoteMounts(task, await chooseStores(task, context));
    const buckets = mounts.filter((mount) => mount.kind === "bucket");
    await Promise.all(buckets.map((mount) => requireBucket(mount, context)));
    const clouds = task.resources.candidates.map(({ infra }) => infra.cloud);
    const cluster = await findBorrower(task, clusterName, context);
    await requireKeys(buckets.filter(isMounted), { cluster, clouds }, context);
  });
}

/** Makes the task's buckets, fills them, and brings their content and files of the web to every node. */
export async function syncStorage(sync: StorageSync, context: OperationContext): Promise<void> {
  if (remoteMounts(sync.task).length === 0) return;
  const chosen = await context.effect("storage.stores", async () => [...(await chooseStores(sync.task, context))]);
  const mounts = remoteMounts(sync.task, new Map(chosen));
  const log = openRunLog(join(runLogDir(context.home, sync.runTimestamp), "storage_sync.log"), context.clock);
  const hint = messages.viewServerLog(`${sync.runTimestamp}/storage_sync.log`);
  const ordered = [...mounts.entries()].sort(([, one], [, other]) => rank(one) - rank(other));
  for (const [index, mount] of ordered) {
    context.log.spin(messages.spinner(`Syncing ${mount.kind === "web" ? mount.shown : mount.uri}`, hint));
    await syncMount({ mount, index, log, hint, ...sync }, context);
  }
  if (mounts.some((mount) => mount.kind === "bucket" && isMounted(mount)))
    context.log.line(messages.success("Storage mounted.", hint));
  context.log.spinEnd();
}

/** Copies come first, as in the original: a mount may lie inside of one. It may lie inside of another mount, which comes before it. */
function rank(mount: RemoteMount): number {
  return mount.kind === "bucket" && isMounted(mount) ? mount.dest.split("/").length : 0;
}

interface MountSync extends StorageSync {
  readonly mount: RemoteMount;
  readonly index: number;
  readonly log: RunLog;
  readonly hint: string;
}

async function syncMount(sync: MountSync, context: OperationContext): Promise<void> {
  const { mount, index, cluster } = sync;
  const to = `(to ${messages.nodesText(cluster.row.num_nodes)})`;
  if (mount.kind === "web") {
    context.log.line(`  ${messages.dim(`Downloading ${to}: ${mount.shown} -> ${mount.dest}`)}`);
    await context.effect(`storage.${index}.copy`, () => copyWebFile(mount, sync, context));
    return;
  }
  const region = await prepareBucket(sync, mount, context);
  if (isMounted(mount)) {
    context.log.line(`  ${messages.dim(`Mounting ${to}: ${mount.uri} -> ${mount.dest}`)}`);
    // Journaled: a launch that goes on after a restart has saved its own in that place.
    const before = await context.effect(`storage.${index}.before`, async () => {
      const mounts = await listClusterMounts(context.db, cluster.row.cluster_hash);
      return mounts.find(({ dest }) => dest === mount.dest) ?? null;
    });
    const target = { mount, region, cluster, agent: sync.agent, before: before ?? undefined };
    await context.effect(`storage.${index}.mount`, () => mountBucket(target, context));
    return;
  }
  context.log.line(`  ${messages.dim(`Copying ${to}: ${mount.uri} -> ${mount.dest}`)}`);
  await context.effect(`storage.${index}.copy`, () => copyBucket(mount, region, sync, context));
}

/** Resolves with the region of the bucket, which holds what it should. */
async function prepareBucket(sync: MountSync, mount: BucketMount, context: OperationContext): Promise<string> {
  const { index, cluster, hint, log, command } = sync;
  const wish = { nodes: cluster.row, command, clusterHash: cluster.row.cluster_hash };
  const { region, isNew } = await context.effect(`storage.${index}.bucket`, () => ensureBucket(mount, wish, context));
  if (isNew) context.log.line(`  Created ${mount.store} bucket '${mount.bucket}' in ${region}`);
  if (mount.sources.length === 0) return region;
  await context.effect(`storage.${index}.upload`, () => uploadSources({ mount, region, log }, context));
  const shown = mount.sources.map((source) => source.path).join(", ");
  context.log.line(messages.success(`Storage synced: ${shown} -> ${mount.uri}/`, hint));
  return region;
}
