import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { uriOf } from "../../shared/bucket-uri.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { Cluster } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import { pathBelow, placeOnNode } from "../task/place-on-node.ts";
import type { Task } from "../task/task.ts";
import { WORKDIR_ON_NODE } from "../task/workdir-on-node.ts";

/** A bucket that the nodes of a cluster have mounted. */
interface StandingMount {
  readonly dest: string;
  readonly uri: string;
}

/** What launches have mounted on a cluster. It stays until the cluster is taken down, also when a later task does not name it. */
export interface StandingMounts {
  readonly clusterName: string;
  /** Of the nodes, as far as they are known; undefined = not. */
  readonly homes: readonly (string | undefined)[];
  readonly mounts: readonly StandingMount[];
}

export async function findStandingMounts(
  { row, instances, offer }: Cluster,
  agent: AgentPeer,
  { db, signal }: Pick<OperationContext, "db" | "signal">,
): Promise<StandingMounts> {
  // A container has a HOME of its own.
  const homes = offer.container === undefined ? new Set(instances.map(({ home }) => home)) : [];
  const standing = { clusterName: row.name, homes: [undefined, ...homes] };
  const rows = await listClusterMounts(db, row.cluster_hash);
  if (rows.length === 0) return { ...standing, mounts: [] };
  const { mounts } = await agent.call("mount_states", {}, { signal });
  // One that failed has its row, and is not there.
  const there = new Set(mounts.map(({ dest }) => dest));
  return {
    ...standing,
    mounts: rows
      .filter(({ dest }) => there.has(dest))
      .map(({ dest, spec }) => ({ dest, uri: uriOf(JSON.parse(spec) as MountSpec) })),
  };
}

/** Refuses a task whose copies would go through a mount into its bucket. Throws InvalidValueError. */
export function refuseCopiesInto(
  standing: StandingMounts,
  { workdir, fileMounts, storageMounts }: Pick<Task, "workdir" | "fileMounts" | "storageMounts">,
): void {
  const copied = Object.entries(storageMounts).filter(([, { mode }]) => mode === "COPY");
  const copies = [
    ...(workdir === undefined ? [] : [WORKDIR_ON_NODE]),
    ...Object.keys(fileMounts),
    ...copied.map(([dest]) => dest),
  ];
  for (const dest of copies) {
    for (const mount of standing.mounts) {
      const inside = restBelow(dest, mount.dest, standing);
      if (inside === undefined) continue;
      const what = inside === "" ? `${dest} is a place` : `${dest} lies inside of ${mount.dest},`;
      throw new InvalidValueError(`${what} ${isMounted(mount)}: what is copied there would go into the bucket.`, {
        hint: `Copy it to another place, or put it into the bucket. ${howToEnd(standing)}`,
      });
    }
  }
}

/**
 * Which entries of a tree go to nodes that have mounts below its destination: not the directories where these are. Throws InvalidValueError
 * for what would go into a bucket.
 */
export function keepOutOfMounts(
  dest: string,
  standing: StandingMounts,
): ((entry: Pick<SyncEntry, "path" | "kind">) => boolean) | undefined {
  const inside = standing.mounts.flatMap((mount) => {
    const at = restBelow(mount.dest, dest, standing);
    return at === undefined || at === "" ? [] : [{ mount, at }];
  });
  if (inside.length === 0) return undefined;
  return ({ path, kind }) => {
    for (const { mount, at } of inside) {
      const rest = pathBelow(path, at);
      if (rest === "" && kind === "dir") return false;
      if (rest === undefined) continue;
      throw new InvalidValueError(
        `${dest}/${path} would be copied into ${mount.dest}, ${isMounted(mount)}: it would go into the bucket.`,
        { hint: `Leave it out (.skyignore), or put it into the bucket. ${howToEnd(standing)}` },
      );
    }
    return true;
  };
}

function restBelow(dest: string, folder: string, { homes }: StandingMounts): string | undefined {
  return homes
    .map((home) => pathBelow(placeOnNode(dest, home), placeOnNode(folder, home)))
    .find((rest) => rest !== undefined);
}

function isMounted({ uri }: StandingMount): string {
  return `where ${uri} is mounted since an earlier launch`;
}

export function howToEnd({ clusterName }: StandingMounts): string {
  return `A mount stays until the cluster is taken down: sky down ${clusterName}`;
}
