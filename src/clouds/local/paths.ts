import { isAbsolute, join, relative } from "node:path";

export interface LocalPaths {
  /** `~/.sky/local`. */
  readonly root: string;
  /** `~/.sky/agent`. */
  readonly installDir: string;
}

export function localPaths(home: string): LocalPaths {
  return { root: join(home, ".sky", "local"), installDir: join(home, ".sky", "agent") };
}

export function clusterDir(paths: LocalPaths, nameOnCloud: string): string {
  return assertInside(paths.root, join(paths.root, nameOnCloud));
}

export function nodeDir(paths: LocalPaths, nameOnCloud: string, index: number): string {
  return join(clusterDir(paths, nameOnCloud), `node${index}`);
}

/** Returns `path` when it lies below `root`; throws otherwise. Every recursive delete goes through it. */
export function assertInside(root: string, path: string): string {
  const inner = relative(root, path);
  if (inner === "" || inner.startsWith("..") || isAbsolute(inner)) {
    throw new Error(`${path} is not inside ${root}.`);
  }
  return path;
}
