import { isAbsolute, join, relative } from "node:path";
import { InvalidValueError } from "../../shared/errors.ts";

/** Where the nodes of clusters are kept on a machine that they share. */
export interface HostPaths {
  readonly base: string;
  readonly nodes: string;
  readonly lock: string;
}

export function hostPaths(base: string): HostPaths {
  if (!isAbsolute(base)) throw new InvalidValueError(`${base} is not an absolute path.`);
  return { base, nodes: join(base, "nodes"), lock: join(base, "nodes", ".lock") };
}

/** Folder of one node. Names come over the network and become paths that are removed. */
export function nodeFolder(paths: HostPaths, nameOnCloud: string): string {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(nameOnCloud))
    throw new InvalidValueError(`'${nameOnCloud}' is not a cluster's name.`);
  return assertInside(paths.nodes, join(paths.nodes, nameOnCloud));
}

/** Returns `path` when it lies below `root`; throws otherwise. Every recursive delete goes through it. */
export function assertInside(root: string, path: string): string {
  const inner = relative(root, path);
  if (inner === "" || inner.startsWith("..") || isAbsolute(inner)) throw new Error(`${path} is not inside ${root}.`);
  return path;
}
