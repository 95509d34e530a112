import { rmSync } from "node:fs";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { PART_STEP_BYTES, type SyncEntry } from "../../shared/agent/protocol.ts";
import { temporaryName } from "./file-tree.ts";
import { hashPart, PartFile, partPath, type PartPlace } from "./part-file.ts";

/** Parts that are being written on this node, by path. */
export type PartsInUse = Map<string, LargeFiles>;

export interface LargeFilesOptions {
  /** Of the sync. */
  readonly key: string;
  readonly inUse: PartsInUse;
}

/** The large files of one sync, which come piece by piece, one after the other. */
export class LargeFiles {
  readonly #options: LargeFilesOptions;
  readonly #places = new Map<number, PartPlace & { readonly isShared: boolean }>();
  #open: { readonly index: number; readonly part: PartFile } | undefined;
  #isGivenUp = false;

  constructor(options: LargeFilesOptions) {
    this.#options = options;
  }

  /**
   * Makes a file's part ours. Resolves with the hashes of what there is of it. A part that another request is writing stays its own;
   * one of a sync that was repeated is taken over, because its caller is gone.
   */
  async claim(index: number, file: { readonly entry: SyncEntry; readonly path: string }): Promise<readonly string[]> {
    const { key, inUse } = this.#options;
    const part = partPath(file.path);
    const owner = inUse.get(part);
    if (owner !== undefined && owner.#options.key !== key) {
      this.#places.set(index, { ...file, part: temporaryName(file.path), isShared: false });
      return [];
    }
    if (owner !== undefined) owner.#isGivenUp = true;
    inUse.set(part, this);
    this.#places.set(index, { ...file, part, isShared: true });
    return hashPart(part);
  }

  /** Resolves with whether the file is complete and in its place. */
  async write(index: number, offset: number, content: Uint8Array): Promise<boolean> {
    if (this.#isGivenUp) throw new AgentPeerError("CLOSED", "The sync goes on in another connection.");
    const part = await this.#partOf(index, offset);
    await part.write(offset, content);
    if (!part.isComplete) return false;
    await part.place();
    this.#open = undefined;
    return true;
  }

  /** Gives the parts that the connection's end interrupted a chance to be continued, or removes them. */
  abort({ isKept }: { readonly isKept: boolean }): void {
    const open = this.#open;
    this.#open = undefined;
    void open?.part.close().catch(() => undefined);
    for (const { part, entry, isShared } of this.#places.values()) {
      const isOurs = !isShared || this.#options.inUse.get(part) === this;
      const isUseful = isKept && isShared && entry.size > PART_STEP_BYTES;
      if (isOurs && !isUseful) rmSync(part, { force: true });
    }
    this.release();
  }

  release(): void {
    const { inUse } = this.#options;
    for (const { part } of this.#places.values()) if (inUse.get(part) === this) inUse.delete(part);
  }

  async #partOf(index: number, offset: number): Promise<PartFile> {
    if (this.#open?.index === index) return this.#open.part;
    const place = this.#places.get(index);
    if (this.#open !== undefined || place === undefined) {
      throw new AgentPeerError("BAD_PARAMS", "The content of the files came out of order.");
    }
    const part = await PartFile.open(place, offset);
    this.#open = { index, part };
    return part;
  }
}
