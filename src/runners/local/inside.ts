import { isAbsolute, relative } from "node:path";

/** Returns `path` when it lies below `root`; throws otherwise. Every recursive delete goes through it. */
export function assertInside(root: string, path: string): string {
  const inner = relative(root, path);
  if (inner === "" || inner.startsWith("..") || isAbsolute(inner)) {
    throw new Error(`${path} is not inside ${root}.`);
  }
  return path;
}
