import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { clusterDir, type LocalPaths } from "./paths.ts";

export interface LocalNode {
  readonly index: number;
  readonly ip: string;
  /** Device indices on this machine that only this node uses. */
  readonly gpus: readonly number[];
}

/** What one cluster holds of the machine: `<cluster>/cluster.json`. */
export interface Allocation {
  readonly clusterName: string;
  readonly nameOnCloud: string;
  /** Of a stopped cluster nothing but the directories is kept. */
  readonly state: "running" | "stopped";
  /** The boot of the machine in which the cluster was started last. */
  readonly bootId: string;
  readonly perNode: NodeResources;
  /** What one node counts for against the machine's capacity. */
  readonly reserved: NodeResources;
  readonly nodes: readonly LocalNode[];
}

const FILE = "cluster.json";

/** Reads the allocation of every cluster. A file that cannot be read is an error: guessing could hand out a GPU twice. */
export function readAllocations(paths: LocalPaths): readonly Allocation[] {
  let names: readonly string[];
  try {
    names = readdirSync(paths.root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names.flatMap((name) => readAllocation(paths, name) ?? []);
}

export function readAllocation(paths: LocalPaths, nameOnCloud: string): Allocation | undefined {
  const path = join(clusterDir(paths, nameOnCloud), FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Allocation;
  } catch (error) {
    throw new OperationFailedError(`${path} is damaged.`, {
      cause: error,
      hint: `Remove the directory ${clusterDir(paths, nameOnCloud)} if nothing in it is needed.`,
    });
  }
}

export function writeAllocation(paths: LocalPaths, allocation: Allocation): void {
  const path = join(clusterDir(paths, allocation.nameOnCloud), FILE);
  writeFileAtomic(path, `${JSON.stringify(allocation, null, 2)}\n`, { mode: 0o600, directoryMode: 0o700 });
}
