import type { NodeMounts } from "../mounts/node-mounts.ts";
import type { NodeMountParams } from "../node/cluster-node.ts";
import { containerDestination, outerFirst, type ContainerLink } from "./links.ts";
import type { NodeContainer } from "./node-container.ts";

/**
 * Mounts buckets for tasks that run in a container: on the node, in folders that the container shares, with links inside of it to where
 * the task file wants them. Throws MOUNT_FAILED when they do not appear there, PATH_EXISTS when the image has something at a place.
 */
export async function mountInside(
  params: NodeMountParams,
  { container, mounts }: { readonly container: NodeContainer; readonly mounts: NodeMounts },
): Promise<void> {
  await container.ensureRunning();
  const links: ContainerLink[] = [];
  const placed = params.mounts.map(({ spec, ...rest }) => {
    const { dest: place, link } = containerDestination(spec.dest);
    if (link !== undefined) links.push({ ...link, isMount: true });
    return { ...rest, spec: { ...spec, place } };
  });
  // What the image has in the way shows before anything is mounted.
  for (const link of outerFirst(links)) await container.link(link);
  await mounts.mount({ ...params, mounts: placed });
  for (const { spec } of placed) {
    try {
      await container.requireSight(placeInHome(spec.place));
    } catch (error) {
      await mounts.forget(spec.dest);
      throw error;
    }
  }
}

/** A relative destination lies in the workdir. */
function placeInHome(place: string): string {
  return place.startsWith("~") || place.startsWith("/") ? place : `~/sky_workdir/${place}`;
}
