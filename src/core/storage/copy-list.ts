import type { StoredObject } from "../ports/object-store.ts";
import type { BucketMount } from "./mounts.ts";

/** Objects that the nodes are told of at a time: their URLs make some 500 KB. */
const BATCH = 500;
/** Objects that are known before the first are copied, so that what the disks have no space for is not begun. */
const KNOWN_FIRST = 10_000;
/** Objects that are known and not copied yet, at most: some 25 MB. Listing a million takes minutes, which the nodes need not wait for. */
const AHEAD = 100_000;
const PARTS = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\0]+(?:\/[^/\0]+)*$/u;

/** Some of the objects that are copied. */
export interface CopyBatch {
  readonly objects: readonly StoredObject[];
  readonly bytes: number;
  /** Bytes of those that were found by then and are in no batch yet. */
  readonly restBytes: number;
}

/** What is to be copied of a place. It is listed while the nodes already fetch the first of it. */
export class CopyList {
  /** Objects found so far that become files. */
  files = 0;
  /** Whether there is nothing more to find. */
  isOver = false;
  readonly #mount: BucketMount;
  #found: StoredObject[] = [];
  #restBytes = 0;
  #change: PromiseWithResolvers<void> | undefined;

  constructor(mount: BucketMount) {
    this.#mount = mount;
  }

  /** Takes the place's objects, in their order; `onLeftOut` hears of those that cannot be files. Throws what the listing throws. */
  async fill(
    objects: AsyncIterable<StoredObject>,
    { signal, onLeftOut }: { readonly signal: AbortSignal; readonly onLeftOut: (key: string) => void },
  ): Promise<void> {
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    try {
      for await (const object of objects) {
        if (isFolder(object)) continue;
        // An object that is named by the mount is all that is meant.
        const isAll = object.key === this.#mount.prefix;
        if (isAll || isFile(object, this.#mount)) this.#add(object);
        else onLeftOut(object.key);
        if (isAll) break;
        while (this.#found.length >= AHEAD && !signal.aborted) await this.#changed();
        signal.throwIfAborted();
      }
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
