import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { Cluster } from "../clusters/cluster.ts";
import * as messages from "../clusters/messages.ts";
import { logFailure, openSyncLog, tellStep, type SyncLog } from "../clusters/sync-log.ts";
import type { OperationContext, RequestLog } from "../operation.ts";
import { findBorrower } from "./borrower.ts";
import { ensureBucket, requireBucket } from "./buckets.ts";
import { chooseStores } from "./choose-store.ts";
import { copyBucket, copyWebFile } from "./copy.ts";
import { mountBucket, requireKeys } from "./mount-bucket.ts";
import { isReadOnlyMount } from "./mount-spec.ts";
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

/**
 * Makes the task's buckets, fills them, and brings their content and files of the web to every node. Copies come first, as in the
 * original: a mount may lie inside of one. It may lie inside of another mount, which comes before it.
 */
export async function syncStorage(sync: StorageSync, context: OperationContext): Promise<void> {
  if (remoteMounts(sync.task).length === 0) return;
  const chosen = await context.effect("storage.stores", async () => [...(await chooseStores(sync.task, context))]);
  const mounts = [...remoteMounts(sync.task, new Map(chosen)).entries()];
  const copied = mounts.filter(([, mount]) => mount.kind === "web" || !isMounted(mount));
  const mounted = mounts.flatMap(([index, mount]) =>
    mount.kind === "bucket" && isMounted(mount) ? [{ index, mount }] : [],
  );
  if (copied.length > 0) {
    const log = openSyncLog(sync, "file_mounts.log", context);
    for (const [index, mount] of copied) await copyOne({ ...sync, mount, index, log }, context);
    context.log.line(messages.success("Synced file_mounts.", log.hint));
  }
  if (mounted.length > 0) {
    const log = openSyncLog(sync, "storage_mounts.log", context);
    const ordered = mounted.toSorted((one, other) => depth(one.mount.dest) - depth(other.mount.dest));
    for (const { index, mount } of ordered) await mountOne({ ...sync, mount, index, log }, context);
    context.log.line(messages.success("Storage mounted.", log.hint));
  }
  context.log.spinEnd();
}

function depth(dest: string): number {
  return dest.split("/").length;
}

interface MountSync<Mount extends RemoteMount> extends StorageSync {
  readonly mount: Mount;
  readonly index: number;
  readonly log: SyncLog;
}

async function copyOne(sync: MountSync<RemoteMount>, context: OperationContext): Promise<void> {
  const { mount, index, log } = sync;
  const to = `(to ${messages.nodesText(sync.cluster.row.num_nodes)})`;
  if (mount.kind === "web") {
    context.log.spin(messages.spinner(`Syncing ${mount.shown}`, log.hint));
    tellStep(log, `Downloading ${to}: ${mount.shown} -> ${mount.dest}`, context);
    await logFailure(log, () => context.effect(`storage.${index}.copy`, () => copyWebFile(mount, sync, context)));
    return;
  }
  const region = await prepareBucket(sync, mount, context);
  context.log.spin(messages.spinner(`Syncing ${mount.uri}`, log.hint));
  tellStep(log, `Copying ${to}: ${mount.uri} -> ${mount.dest}`, context);
  await logFailure(log, () => context.effect(`storage.${index}.copy`, () => copyBucket(mount, region, sync, context)));
}

async function mountOne(sync: MountSync<BucketMount>, context: OperationContext): Promise<void> {
  const { mount, index, cluster, agent, log } = sync;
  const region = await prepareBucket(sync, mount, context);
  context.log.spin(messages.spinner(`Mounting ${mount.uri}`, log.hint));
  tellStep(log, `Mounting (to ${messages.nodesText(cluster.row.num_nodes)}): ${mount.uri} -> ${mount.dest}`, context);
  // Journaled: a launch that goes on after a restart has saved its own in that place.
  const before = await context.effect(`storage.${index}.before`, async () => {
    const mounts = await listClusterMounts(context.db, cluster.row.cluster_hash);
    return mounts.find(({ dest }) => dest === mount.dest) ?? null;
  });
  const target = { mount, region, cluster, agent, before: before ?? undefined };
  const mountIt = async (): Promise<void> => {
    await mountBucket(target, { ...context, log: alsoWriting(context.log, log) });
    log.write(await mountedText(mount, cluster, context));
  };
  await logFailure(log, () => context.effect(`storage.${index}.mount`, mountIt));
}

/** What the user is told, warnings among it, is in the log, too. */
function alsoWriting(to: RequestLog, log: SyncLog): RequestLog {
  return {
    line: (text) => {
      log.write(text.trim());
      to.line(text);
    },
    spin: (message) => to.spin(message),
    spinEnd: () => to.spinEnd(),
  };
}

async function mountedText(mount: BucketMount, { row }: Cluster, context: OperationContext): Promise<string> {
  const rows = await listClusterMounts(context.db, row.cluster_hash);
  const saved = rows.find(({ dest }) => dest === mount.dest);
  const isOwn = saved !== undefined && (JSON.parse(saved.spec) as MountSpec).credentials === "node";
  const lent = context.mountKeys.wayOf(row.cluster_hash, mount.dest);
  const keys = isOwn ? "by the nodes' own role" : lent && `with ${lent}`;
  const mode = mount.spec?.mode ?? "MOUNT";
  const how = [mode, isReadOnlyMount(mount) ? "to read only" : "to read and write", keys].filter(Boolean);
  return `Mounted ${mount.uri} at ${mount.dest} on ${messages.nodesText(row.num_nodes)}: ${how.join(", ")}.`;
}

/** Resolves with the region of the bucket, which holds what it should. */
async function prepareBucket(
  sync: StorageSync & { readonly index: number },
  mount: BucketMount,
  context: OperationContext,
): Promise<string> {
  const { index, cluster, command } = sync;
  const wish = { nodes: cluster.row, command, clusterHash: cluster.row.cluster_hash };
  context.log.spin(messages.spinner(`Syncing ${mount.uri}`));
  const { region, isNew } = await context.effect(`storage.${index}.bucket`, () => ensureBucket(mount, wish, context));
  if (isNew) context.log.line(`  Created ${mount.store} bucket '${mount.bucket}' in ${region}`);
  if (mount.sources.length === 0) return region;
  const log = openSyncLog(sync, "storage_sync.log", context);
  const shown = mount.sources.map((source) => source.path).join(", ");
  log.write(`Syncing ${shown} -> ${mount.uri}/`);
  context.log.spin(messages.spinner(`Syncing ${mount.uri}`, log.hint));
  await logFailure(log, () =>
    context.effect(`storage.${index}.upload`, () => uploadSources({ mount, region, log }, context)),
  );
  context.log.line(messages.success(`Storage synced: ${shown} -> ${mount.uri}/`, log.hint));
  return region;
}
