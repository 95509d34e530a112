/** `--clone-disk-from`: the disk of a stopped cluster, for a new one to start from. */

import { createHash } from "node:crypto";
import { findCluster } from "../../db/queries/clusters.ts";
import { InvalidValueError, NotSupportedError, RequestCancelledError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import { cloudKeyOf } from "../optimizer/request.ts";
import type { Cloud, CloudContext, ClusterRef, DiskCopy, NodeWish } from "../ports/cloud.ts";
import { DEFAULT_DISK_SIZE_GIB, type Resources } from "../resources/resources.ts";
import type { Task } from "../task/task.ts";
import { cloudContext, clusterRef, requireCluster } from "./cluster.ts";
import * as messages from "./messages.ts";
import { checkOwner } from "./owner.ts";
import { withClusterLock } from "./waiting.ts";

/** A disk takes minutes for each hundred gigabytes. */
const LOOK_MS = 5_000;
/** What was saved is removed although the request is cancelled. */
const DROP_MS = 60_000;

export interface CloneWish {
  readonly clusterName: string;
  readonly from: string;
}

/** Whose disk goes where. */
export interface Clone {
  readonly from: string;
  readonly cloud: string;
  readonly source: ClusterRef;
  /** Of the new cluster. */
  readonly region: string;
}

/**
 * The task as it can start from the other cluster's disk: on its cloud, in its region unless another is named, with a disk that is
 * large enough. Throws ClusterDoesNotExistError, NotSupportedError and InvalidValueError for what cannot be cloned, or to there.
 */
export async function narrowToClone(
  task: Task,
  wish: CloneWish,
  context: OperationContext,
): Promise<{ readonly task: Task; readonly clone: Clone }> {
  const { from } = wish;
  const { diskGib, ...found } = await context.effect("check-clone", () => lookAtSource(wish, context));
  const region = regionFor(task, found.source.region);
  const candidates = task.resources.candidates.map((resources) =>
    narrow(resources, { ...found, from, region }, diskGib),
  );
  return { task: { ...task, resources: { ...task.resources, candidates } }, clone: { ...found, from, region } };
}

function regionFor(task: Task, home: string): string {
  const regions = new Set(task.resources.candidates.map(({ infra }) => infra.region ?? home));
  const [region = home] = regions;
  if (regions.size <= 1) return region;
  throw new InvalidValueError(`A disk is cloned to one region, not to ${[...regions].join(", ")}.`, {
    hint: "Name one region for all resources, or none.",
  });
}

interface Source extends Pick<Clone, "cloud" | "source"> {
  readonly diskGib: number;
}

async function lookAtSource({ clusterName, from }: CloneWish, context: OperationContext): Promise<Source> {
  const source = await requireCluster(context.db, from);
  const { row } = source;
  await checkOwner(source, context);
  if ((await findCluster(context.db, clusterName)) !== undefined) {
    throw new NotSupportedError(`--clone-disk-from is for a new cluster; '${clusterName}' exists.`, {
      hint: `Choose another name, or first: sky down ${clusterName}`,
    });
  }
  await savedDisksOf(row.cloud, context);
  if (row.num_nodes !== 1) {
    throw new NotSupportedError(
      `Cluster '${from}' has ${row.num_nodes} nodes; only the disk of a single one is cloned.`,
    );
  }
  if (row.status !== "STOPPED") {
    throw new NotSupportedError(`Cluster '${from}' is ${row.status}; its disk can be cloned when it is stopped.`, {
      hint: `sky stop ${from}`,
    });
  }
  const { diskGib = DEFAULT_DISK_SIZE_GIB } = JSON.parse(row.node_wish) as Partial<NodeWish>;
  return { cloud: row.cloud, source: clusterRef(row), diskGib };
}

async function savedDisksOf(name: string, context: OperationContext): Promise<NonNullable<Cloud["savedDisks"]>> {
  const cloud = await context.clouds.load(name);
  if (cloud.savedDisks !== undefined) return cloud.savedDisks;
  throw new NotSupportedError(`Disks of clusters on ${cloud.displayName} cannot be cloned.`, {
    hint: "Launch a new cluster and copy the files with a bucket or file_mounts.",
  });
}

function narrow(resources: Resources, { from, cloud, region }: Clone, diskGib: number): Resources {
  const asked = cloudKeyOf(resources);
  if (asked !== undefined && asked !== cloud) {
    throw new NotSupportedError(`The disk of cluster '${from}' is on ${cloud}; it cannot be cloned to ${asked}.`);
  }
  if ([...(resources.imageId ?? [])].some(([key, image]) => key !== "docker" && !image.startsWith("docker:"))) {
    throw new InvalidValueError("image_id and --clone-disk-from cannot both say what a disk starts from.");
  }
  const { diskSizeGib = Math.max(DEFAULT_DISK_SIZE_GIB, diskGib) } = resources;
  if (diskSizeGib < diskGib) {
    throw new InvalidValueError(
      `disk_size ${diskSizeGib} is smaller than the disk of cluster '${from}' (${diskGib} GiB).`,
      { hint: `Set resources.disk_size to ${diskGib} or more, or leave it out.` },
    );
  }
  return { ...resources, diskSizeGib, infra: { ...resources.infra, cloud, region } };
}

/** The task with the saved disk as its image; waits until it is there. */
export async function saveForClone(task: Task, clone: Clone, context: OperationContext): Promise<Task> {
  const { from, cloud, source, region } = clone;
  const saved = await context.effect("save-disk", () =>
    // Nobody starts the cluster while its disk is read.
    withClusterLock(from, context, async () => {
      const { row } = await requireCluster(context.db, from);
      if (row.status !== "STOPPED") {
        throw new NotSupportedError(`Cluster '${from}' is ${row.status} by now; its disk was not cloned.`);
      }
      const disks = await savedDisksOf(cloud, context);
      context.log.spin(messages.spinner(`Cloning the disk of cluster ${from}`));
      for (;;) {
        const disk = await disks.save(source, copyOf(region, context), cloudContext(context));
        if (disk !== undefined) return disk;
        await context.clock.sleep(LOOK_MS, { signal: context.signal });
      }
    }),
  );
  context.log.line(messages.success(`Cloned the disk of cluster ${from}.`));
  const candidates = task.resources.candidates.map((resources) => ({
    ...resources,
    imageId: new Map([...(resources.imageId ?? []), [region, saved.imageId] as const]),
  }));
  return { ...task, resources: { ...task.resources, candidates } };
}

/** Named after the request: a launch that goes on after a restart finds its own copy again. */
function copyOf(region: string, { requestId }: Pick<OperationContext, "requestId">): DiskCopy {
  const digest = createHash("sha256").update(requestId).digest("hex");
  return { name: `skypilot-clone-${digest.slice(0, 32)}`, region };
}

/** Does the work, and removes what was saved for it, whether it succeeds or not; a server that shuts down goes on with it later. */
export async function whileCloned<T>(clone: Clone, context: OperationContext, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    const isPause = context.signal.aborted && !(context.signal.reason instanceof RequestCancelledError);
    if (!isPause) await drop(clone, context, { ...cloudContext(context), signal: AbortSignal.timeout(DROP_MS) });
    throw error;
  }
  await context.effect("drop-disk", () => drop(clone, context, cloudContext(context)));
  return result;
}

/** What cannot be removed costs money, but is no reason to take the new cluster for failed. */
async function drop(clone: Clone, context: OperationContext, own: CloudContext): Promise<null> {
  const copy = copyOf(clone.region, context);
  const cloud = await context.clouds.load(clone.cloud);
  try {
    await cloud.savedDisks?.drop(clone.source, copy, own);
  } catch (error) {
    context.signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    context.log.line(
      messages.yellow(`The image ${copy.name}, from which the disk was cloned, could not be removed: ${why}`),
    );
  }
  return null;
}
