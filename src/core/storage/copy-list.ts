import type { StoredObject } from "../ports/object-store.ts";
import type { BucketMount } from "./mounts.ts";

/** Objects that the nodes are told of at a time: their URLs make some 500 KB. */
const BATCH = 500;
/** Objects that are known before the first are copied, so that what the disks have no space for is not begun. */
const KNOWN_FIRST = 10_000;
/** Objects that are known and not copied yet, at most: some 25 MB. Listing a million takes minutes, which the nodes need not wait for. */
const AHEAD = 100_000;
const PARTS = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\0]+(?:\/[^/\0]+)*$/u;

/** Why an object does not become a file. */
export type LeftOutReason = "no-file-name" | "is-folder";

/** Some of the objects that are copied. */
export interface CopyBatch {
  readonly objects: readonly StoredObject[];
  readonly bytes: number;
  /** Bytes of those that were found by then and are in no batch yet. */
  readonly restBytes: number;
}

interface FillOptions {
  readonly signal: AbortSignal;
  readonly onLeftOut: (key: string, reason: LeftOutReason) => void;
}

/** What is to be copied of a place. It is listed while the nodes already fetch the first of it. */
export class CopyList {
  /** Objects found so far that become files. */
  files = 0;
  /** Whether there is nothing more to find. */
  isOver = false;
  readonly #mount: BucketMount;
  #found: StoredObject[] = [];
  /** Objects whose keys may turn out to be folders, too. Each key begins with the one before, so there are few, however large the bucket. */
  #undecided: StoredObject[] = [];
  #restBytes = 0;
  #change: PromiseWithResolvers<void> | undefined;

  constructor(mount: BucketMount) {
    this.#mount = mount;
  }

  /**
   * Takes the place's objects, in the order of their keys' bytes; `onLeftOut` hears of those that cannot be files, also because others lie in a
   * folder of their name. Throws what the listing throws.
   */
  async fill(objects: AsyncIterable<StoredObject>, { signal, onLeftOut }: FillOptions): Promise<void> {
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    try {
      for await (const object of objects) {
        if (isFolder(object)) continue;
        // An object that is named by the mount is all that is meant.
        const isAll = object.key === this.#mount.prefix;
        if (isAll || isFile(object, this.#mount)) this.#take(object, onLeftOut);
        else onLeftOut(object.key, "no-file-name");
        if (isAll) break;
        while (this.#found.length + this.#undecided.length >= AHEAD && !signal.aborted) await this.#changed();
        signal.throwIfAborted();
      }
      for (const object of this.#undecided.splice(0)) this.#add(object);
    } catch (error) {
      this.#found = [];
      throw error;
    } finally {
      signal.removeEventListener("abort", wake);
      this.isOver = true;
      this.#wake();
    }
  }

  /** The next objects, when there are enough of them; undefined = that was all. */
  async next(): Promise<CopyBatch | undefined> {
    while (!this.#hasBatch()) await this.#changed();
    if (this.#found.length === 0) return undefined;
    const objects = this.#found.splice(0, BATCH);
    this.#wake();
    const bytes = objects.reduce((sum, { size }) => sum + size, 0);
    this.#restBytes -= bytes;
    return { objects, bytes, restBytes: this.#restBytes };
  }

  /** `a` waits while `a-x` and the like come, because `a/b` may come after them. What comes later than that decides. */
  #take(object: StoredObject, onLeftOut: FillOptions["onLeftOut"]): void {
    for (let last = this.#undecided.at(-1); last !== undefined; last = this.#undecided.at(-1)) {
      const next = object.key.startsWith(last.key) ? object.key.charAt(last.key.length) : "";
      if (next !== "" && next < "/") break;
      this.#undecided.pop();
      if (next === "/") onLeftOut(last.key, "is-folder");
      else this.#add(last);
    }
    this.#undecided.push(object);
  }

  #add(object: StoredObject): void {
    this.#found.push(object);
    this.files += 1;
    this.#restBytes += object.size;
    if (this.#hasBatch()) this.#wake();
  }

  #hasBatch(): boolean {
    return this.isOver || (this.#found.length >= BATCH && this.files >= KNOWN_FIRST);
  }

  #changed(): Promise<void> {
    this.#change ??= Promise.withResolvers();
    return this.#change.promise;
  }

  /** Those who wait look again. */
  #wake(): void {
    this.#change?.resolve();
    this.#change = undefined;
  }
}

/** Path of an object's file below the mount's destination. */
export function pathBelow(key: string, { prefix }: BucketMount): string {
  if (key === prefix) return "";
  return prefix === "" ? key : key.slice(prefix.length + 1);
}

/** Folders that some tools make are no files. */
function isFolder({ key }: StoredObject): boolean {
  return key.endsWith("/");
}

/** A key that is no path on a disk cannot be placed. */
function isFile(object: StoredObject, mount: BucketMount): boolean {
  return PARTS.test(pathBelow(object.key, mount));
}
