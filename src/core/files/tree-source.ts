import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { BlockPacker } from "./blocks.ts";
import { waitingAccess } from "./file-access.ts";
import { packFiles } from "./pack-files.ts";
import { openThread } from "./tree-client.ts";
import type { TreeOptions, TreeSource } from "./tree.ts";
import { walkTree } from "./walk.ts";

/** Trees above this are read by a thread of their own. */
const SMALL_ENTRIES = 300;
const SMALL_BYTES = 8 * 1024 * 1024;

/**
 * Opens a tree: a small one is read here, a large one by a thread of its own, which takes a tenth of the processor time and
 * leaves the event loop alone.
 */
export async function openTree(root: string, options: TreeOptions): Promise<TreeSource> {
  const entries: SyncEntry[] = [];
  const skipped: string[] = [];
  let bytes = 0;
  const { ignoreFilesFrom, onSkipped } = options;
  for await (const entry of walkTree(root, { ignoreFilesFrom, onSkipped: (path) => skipped.push(path) })) {
    entries.push(entry);
    bytes += entry.size;
    if (entries.length > SMALL_ENTRIES || bytes > SMALL_BYTES) return openThread(root, options);
  }
  for (const path of skipped) onSkipped?.(path);
  return readHere(root, entries);
}

/** A single file, or a small tree that has been walked. */
export function readHere(root: string, entries: readonly SyncEntry[]): TreeSource {
  const packer = new BlockPacker();
  return {
    rounds: () => single(entries),
    blocks: (wanted) => packFiles(wanted, { root, packer, access: waitingAccess }),
    close: () => Promise.resolve(),
  };
}

async function* single<T>(item: T): AsyncGenerator<T, void, undefined> {
  yield await Promise.resolve(item);
}
