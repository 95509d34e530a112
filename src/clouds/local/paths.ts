import { join } from "node:path";
import { assertInside } from "../../runners/local/inside.ts";

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
