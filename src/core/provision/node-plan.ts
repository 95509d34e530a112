import type { Instance, InstanceId } from "../ports/cloud.ts";

/** What has to happen to a cluster's instances so that nodes 0 to n-1 run. */
export interface NodePlan {
  /** Indices that have no instance. */
  readonly create: readonly number[];
  /** Stopped instances to start. */
  readonly start: readonly InstanceId[];
  /** Running or pending instances that stay as they are. */
  readonly keep: readonly InstanceId[];
  /** Instances beyond the cluster's size, and second ones of an index. */
  readonly surplus: readonly InstanceId[];
  /** Instances that had ended before; clouds list them for a while. */
  readonly gone: readonly InstanceId[];
}

/** Compares what the cloud shows with what the cluster needs. An instance that is stopping counts as stopped. */
export function planNodes(seen: readonly Instance[], numNodes: number): NodePlan {
  const live = seen.filter((instance) => instance.state !== "terminated");
  const gone = seen.filter((instance) => instance.state === "terminated").map((instance) => instance.id);
  const chosen = new Map<number, Instance>();
  for (const instance of live) {
    const other = chosen.get(instance.index);
    if (instance.index < numNodes && (other === undefined || isBetter(instance, other))) {
      chosen.set(instance.index, instance);
    }
  }
  const picked = [...chosen.values()];
  const isOff = (instance: Instance): boolean => instance.state === "stopped" || instance.state === "stopping";
  return {
    create: Array.from({ length: numNodes }, (_, index) => index).filter((index) => !chosen.has(index)),
    start: picked.filter(isOff).map((instance) => instance.id),
    keep: picked.filter((instance) => !isOff(instance)).map((instance) => instance.id),
    gone,
    surplus: live.filter((instance) => chosen.get(instance.index) !== instance).map((instance) => instance.id),
  };
}

/** The first of an index has what its jobs left on the disk; a later one is a copy that somebody made, tags and all. */
function isBetter(one: Instance, other: Instance): boolean {
  const [mine = 0, others = 0] = [one.createdAtMs, other.createdAtMs];
  if (mine !== 0 && others !== 0 && mine !== others) return mine < others;
  return one.state === "running" && other.state !== "running";
}
