import type { ClusterMountRow } from "../../db/queries/cluster-mounts.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";

/** A bucket that the nodes of a cluster have, or may have, as a directory. */
export interface MountedPlace {
  readonly store: string;
  readonly spec: MountSpec;
}

/** What the nodes were told to mount, and after a launch that was cut off also what they may still have there instead. */
export function mountedPlaces(row: ClusterMountRow): readonly MountedPlace[] {
  return [placeOf(row), ...replacedBy(row)];
}

/** What a new mount may find at its place, for its row: whatever was there, as long as nobody knows that it has gone. */
export function replacing(
  wanted: Pick<ClusterMountRow, "store" | "spec">,
  before: ClusterMountRow | undefined,
): string | null {
  if (before === undefined) return null;
  const isWanted = ({ store, spec }: MountedPlace): boolean =>
    store === wanted.store && JSON.stringify(spec) === wanted.spec;
  const others = mountedPlaces(before).filter((place) => !isWanted(place));
  return others.length === 0 ? null : JSON.stringify(others);
}

function placeOf({ store, spec }: Pick<ClusterMountRow, "store" | "spec">): MountedPlace {
  return { store, spec: JSON.parse(spec) as MountSpec };
}

function replacedBy({ replaces }: ClusterMountRow): readonly MountedPlace[] {
  // A launch that an older server began has kept a row without it.
  const text = replaces ?? "[]";
  return JSON.parse(text) as readonly MountedPlace[];
}
