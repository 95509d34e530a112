import type { FetchFile, FetchParams } from "../../shared/agent/protocol.ts";
import { BLOCK_BYTES, encodeBlock, type EncodedBlock } from "../../shared/agent/sync-blocks.ts";
import { orAborted } from "../../shared/or-aborted.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import type { ClusterNode, NodeSync, NodeSyncParams } from "../node/cluster-node.ts";
import { isSmall, toEntry } from "./fetch-entry.ts";
import { PARALLEL_SMALL } from "./fetch-files.ts";

/**
 * What the head sends to the others of one file, at most: at 5 Gbit/s it takes as long as one of them takes for a request of its own
 * among many. Larger files every node gets from their store.
 */
const PASSED_ON_BYTES = 256 * 1024;
/** Blocks that wait for a slow node, at most, before more is downloaded. */
const WAITING_BLOCKS = 3;

type SyncNode = Pick<ClusterNode, "sync" | "isAlive">;

export interface PassOnOptions {
  /** The head is the first. */
  readonly nodes: readonly SyncNode[];
  /** All of a small file. */
  readonly download: (file: FetchFile, signal: AbortSignal) => Promise<Buffer>;
  readonly signal: AbortSignal;
}

export interface PassedOn {
  /** What was left to the nodes themselves. */
  readonly rest: readonly FetchFile[];
  /** Nodes that have all the others, each with how many bytes and files it lacked of them. Any other node gets them by itself. */
  readonly receivers: ReadonlyMap<SyncNode, { readonly bytes: number; readonly files: number }>;
}

/**
 * The head downloads small files once and passes them on, instead of every node on its own: a store counts, charges and throttles
 * requests. Whatever keeps a node from taking part is left to its own attempt, which says what is wrong. Throws when the download fails.
 */
export async function passOn(wish: FetchParams, options: PassOnOptions): Promise<PassedOn> {
  const { nodes, signal } = options;
  const others = nodes.length - 1;
  const isPassedOn = (file: FetchFile): boolean => isSmall(file) && (file.size ?? 0) * others <= PASSED_ON_BYTES;
  const files = others === 0 ? [] : wish.files.filter(isPassedOn);
  if (files.length === 0) return { rest: wish.files, receivers: new Map() };
  const rest = wish.files.filter((file) => !isPassedOn(file));
  const params: NodeSyncParams = {
    key: wish.key,
    dest: wish.dest,
    entries: files.map(toEntry),
    isDownload: true,
    restBytes: rest.reduce((sum, { size = 0 }) => sum + size, wish.restBytes ?? 0),
  };
  const begun = await Promise.all(nodes.map((node) => Receiver.open(node, params, signal)));
  const receivers = begun.filter((one) => one !== undefined);
  try {
    // Who lacks files alone gets them by itself.
    const lacking = receivers.filter((one) => one.need.size > 0);
    if (lacking.length === 1) lacking[0]?.giveUp(new Error("nobody else needs these files"));
    else await sendContents(files, lacking, options);
    await Promise.all(receivers.map((one) => one.finish()));
  } catch (error) {
    for (const one of receivers) one.giveUp(error);
    throw error;
  }
  const done = receivers.filter((one) => one.isWhole);
  const lackedBytes = (need: ReadonlySet<number>): number =>
    [...need].reduce((sum, index) => sum + (files[index]?.size ?? 0), 0);
  return {
    rest,
    receivers: new Map(done.map(({ node, need }) => [node, { bytes: lackedBytes(need), files: need.size }])),
  };
}

/** Downloads what somebody lacks, and sends it in blocks, one after the other. */
async function sendContents(
  files: readonly FetchFile[],
  receivers: readonly Receiver[],
  { download, signal }: PassOnOptions,
): Promise<void> {
  const wanted = [...new Set(receivers.flatMap(({ need }) => [...need]))].sort((a, b) => a - b);
  // The head's own files are written in one go, for which the others need not wait: it comes last.
  const inOrder = receivers.toReversed();
  let sent = Promise.resolve();
  let waiting = 0;
  const send = (full: readonly Piece[]): Promise<void> => {
    waiting += 1;
    sent = sent.then(async () => {
      const block = toBlock(full);
      await Promise.all(inOrder.map((one) => one.write(block)));
      waiting -= 1;
    });
    return sent;
  };
  let pieces: Piece[] = [];
  let bytes = 0;
  await forEachParallel(wanted, PARALLEL_SMALL, async (index) => {
    const file = files[index];
    if (waiting >= WAITING_BLOCKS) await sent;
    if (file === undefined || receivers.every((one) => one.isGone)) return;
    const content = await download(file, signal);
    const full = bytes + content.length > BLOCK_BYTES ? pieces : undefined;
    if (full !== undefined) [pieces, bytes] = [[], 0];
    pieces.push({ index, content });
    bytes += content.length;
    if (full !== undefined) await send(full);
  });
  if (pieces.length > 0) await send(pieces);
}

interface Piece {
  readonly index: number;
  readonly content: Uint8Array;
}

function toBlock(pieces: readonly Piece[]): EncodedBlock {
  const content = Buffer.concat(pieces.map((piece) => piece.content));
  const files = pieces.map(({ index }) => index);
  const block = { files, offset: 0, contentBytes: content.length, isCompressed: false };
  const encoded = encodeBlock({ ...block, body: content });
  return { ...block, body: encoded.subarray(encoded.length - content.length), encoded };
}

/** A node that takes part until something goes wrong. */
class Receiver {
  readonly node: SyncNode;
  readonly need: ReadonlySet<number>;
  isGone = false;
  isWhole = false;
  readonly #sync: NodeSync;

  private constructor(node: SyncNode, sync: NodeSync) {
    this.node = node;
    this.need = new Set(sync.need);
    this.#sync = sync;
  }

  /** Undefined: the node will not, or is away, which nobody else waits for. */
  static async open(node: SyncNode, params: NodeSyncParams, signal: AbortSignal): Promise<Receiver | undefined> {
    if (!node.isAlive) return undefined;
    const sync = await orAborted(node.sync(params, signal), signal).catch(() => undefined);
    signal.throwIfAborted();
    if (sync?.isDownload === true) return new Receiver(node, sync);
    sync?.abort(new Error("an agent of an older release"));
    return undefined;
  }

  async write(block: EncodedBlock): Promise<void> {
    if (this.isGone || !block.files.some((index) => this.need.has(index))) return;
    await this.#sync.write(block).catch((error: unknown) => this.giveUp(error));
  }

  async finish(): Promise<void> {
    if (this.isGone) return;
    await this.#sync.finish().then(
      () => {
        this.isWhole = true;
      },
      (error: unknown) => this.giveUp(error),
    );
  }

  giveUp(error: unknown): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#sync.abort(error);
  }
}
