import { zstdDecompressSync } from "node:zlib";
import { AgentPeerError, isConnectionLoss } from "../../shared/agent/peer-error.ts";
import { PART_STEP_BYTES, type SyncEntry } from "../../shared/agent/protocol.ts";
import { BLOCK_BYTES, type EncodedBlock, type SyncBlock } from "../../shared/agent/sync-blocks.ts";
import type { NodeSync, NodeSyncNeed, NodeSyncParams } from "../node/cluster-node.ts";
import { assertLinkable, makeLink, resolveDestination, type DestinationOptions } from "./dest.ts";
import { SAME_VERSION_MS } from "./fetch-entry.ts";
import { assertEntries, FileTree } from "./file-tree.ts";
import { freeSpace } from "./free-space.ts";
import { LargeFiles, type PartsInUse } from "./large-files.ts";
import { placeFile } from "./place-file.ts";
import { guard, guardAsync, noSpace } from "./write-errors.ts";

/** Entries handled before other work of the agent gets a turn. */
const BATCH = 500;
const MIB = 1024 * 1024;

export interface SyncOptions extends DestinationOptions {
  readonly partsInUse: PartsInUse;
}

/** Starts a sync to this node: makes directories and links, and finds the files whose content it lacks. May be repeated. */
export async function beginSync(params: NodeSyncParams, options: SyncOptions): Promise<NodeSync> {
  const { key, dest, entries, restBytes = 0 } = params;
  assertEntries(entries);
  const destination = resolveDestination(dest, options.home);
  const { link } = destination;
  if (link !== undefined) assertLinkable(link, options.home);
  const tree = new FileTree(destination.path, { keepsFiles: params.isDownload ?? false });
  const lacks = await lookAround(tree, params);
  const parts = new LargeFiles({ key, inUse: options.partsInUse });
  const receiver = new FileReceiver({
    tree,
    entries,
    lacks,
    isDownload: params.isDownload ?? false,
    parts,
    makeLink: () => {
      if (link !== undefined) makeLink(link, destination.path, options);
    },
  });
  try {
    const there = await receiver.findParts();
    const isNew = lacks.fresh.size === entries.length;
    assertSpace(dest, destination.path, lacks.bytes - there + (isNew ? restBytes : 0));
    return receiver;
  } catch (error) {
    receiver.abort(error);
    throw error;
  }
}

interface Lacks {
  readonly need: readonly number[];
  /** Of these, the files at whose place there is nothing. */
  readonly fresh: ReadonlySet<number>;
  /** Bytes that will be needed beyond those of the files that are replaced. */
  readonly bytes: number;
}

async function lookAround(tree: FileTree, { entries, isDownload = false }: NodeSyncParams): Promise<Lacks> {
  const same = isDownload ? { sameTimeMs: SAME_VERSION_MS } : {};
  const need: number[] = [];
  const fresh = new Set<number>();
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    if (index % BATCH === BATCH - 1) await new Promise((resolve) => setImmediate(resolve));
    guard(tree.pathOf(entry), () => {
      // Of a download only what is lacking is touched, when it is there.
      if (!isDownload) tree.ensureParent(entry);
      if (entry.kind === "dir") tree.makeDirectory(entry);
      else if (entry.kind === "link") tree.makeLink(entry);
      else {
        const stats = tree.find(entry);
        if (stats !== undefined && tree.hasFile(entry, { stats, ...same })) return;
        if (stats === undefined) fresh.add(index);
        else tree.assertReplaceable(entry, stats);
        need.push(index);
        bytes += entry.size - (stats?.size ?? 0);
      }
    });
  }
  return { need, fresh, bytes };
}

/** Says at once what would fail in the middle. */
function assertSpace(dest: string, path: string, bytes: number): void {
  if (bytes <= 0) return;
  const { free } = freeSpace(path);
  if (bytes <= free) return;
  const [more, left] = [Math.ceil(bytes / MIB), Math.floor(free / MIB)];
  throw noSpace(`${dest}: it needs ${more} MiB more, and ${left} MiB are free`);
}

interface ReceiverOptions {
  readonly tree: FileTree;
  readonly entries: readonly SyncEntry[];
  readonly lacks: Lacks;
  readonly isDownload: boolean;
  readonly parts: LargeFiles;
  readonly makeLink: () => void;
}

/** Takes the contents of the needed files; each file appears complete or not at all. */
class FileReceiver implements NodeSync {
  readonly need: readonly number[];
  readonly isDownload: boolean;
  parts: NodeSyncNeed["parts"] = [];
  readonly #options: ReceiverOptions;
  readonly #missing: Set<number>;
  readonly #umask = process.umask();

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.need = options.lacks.need;
    this.isDownload = options.isDownload;
    this.#missing = new Set(this.need);
  }

  /** Looks for what earlier syncs have left of large files. Resolves with how many bytes that is. */
  async findParts(): Promise<number> {
    const { entries, tree, parts } = this.#options;
    const found: { readonly index: number; readonly marks: readonly string[] }[] = [];
    for (const index of this.need) {
      const entry = entries[index];
      if (entry === undefined || entry.size <= BLOCK_BYTES) continue;
      const marks = await guardAsync(entry.path, () => parts.claim(index, { entry, path: tree.pathOf(entry) }));
      if (marks.length > 0) found.push({ index, marks });
    }
    this.parts = found;
    return found.reduce((sum, { marks }) => sum + marks.length * PART_STEP_BYTES, 0);
  }

  async write(block: EncodedBlock): Promise<void> {
    const [first = -1] = block.files;
    const entry = this.#options.entries[first];
    if (entry === undefined || entry.size <= BLOCK_BYTES) {
      this.#writeWhole(block);
      return;
    }
    if (!this.#missing.has(first)) return;
    const isComplete = await guardAsync(this.#options.tree.pathOf(entry), () =>
      this.#options.parts.write(first, block.offset, contentOf(block)),
    );
    if (isComplete) this.#missing.delete(first);
  }

  finish(): Promise<void> {
    const { tree, entries, makeLink: link, parts } = this.#options;
    if (this.#missing.size > 0) throw new AgentPeerError("BAD_PARAMS", "Less content came than was asked for.");
    parts.release();
    guard("the destination", () => {
      tree.finishDirectories(entries);
      link();
    });
    return Promise.resolve();
  }

  abort(error: unknown): void {
    // What is lost on the way may come again; any other failure leaves nothing half done.
    this.#options.parts.abort({ isKept: isConnectionLoss(error) });
  }

  /** The files of a block that are there already are passed over: another node lacks them. */
  #writeWhole(block: SyncBlock): void {
    const { tree, entries, lacks } = this.#options;
    const content = contentOf(block);
    let at = 0;
    for (const index of block.files) {
      const entry = entries[index];
      if (entry === undefined || at + entry.size > content.length) throw damaged();
      const bytes = content.subarray(at, at + entry.size);
      at += entry.size;
      if (!this.#missing.has(index)) continue;
      const placement = { entry, path: tree.pathOf(entry), isNew: lacks.fresh.has(index), umask: this.#umask };
      guard(placement.path, () => {
        if (this.isDownload) tree.ensureParent(entry);
        placeFile(placement, bytes);
      });
      this.#missing.delete(index);
    }
    if (at !== content.length) throw damaged();
  }
}

function contentOf({ body, contentBytes, isCompressed }: SyncBlock): Uint8Array {
  const content = isCompressed ? decompress(body, contentBytes) : body;
  if (content.length !== contentBytes) throw damaged();
  return content;
}

/** In one piece, which is much faster. */
function decompress(body: Uint8Array, contentBytes: number): Uint8Array {
  return zstdDecompressSync(body, { chunkSize: BLOCK_BYTES, maxOutputLength: Math.max(1, contentBytes) });
}

function damaged(): AgentPeerError {
  return new AgentPeerError("BAD_PARAMS", "The content of the files came damaged.");
}
