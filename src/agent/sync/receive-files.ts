import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  openSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import type { NodeSync } from "../node/cluster-node.ts";
import { assertLinkable, makeLink, resolveDestination, type DestinationOptions } from "./dest.ts";
import { assertEntries, FileTree, temporaryName } from "./file-tree.ts";

/** Entries handled before other work of the agent gets a turn. */
const BATCH = 500;
/** Smaller files are gathered and written at once, because content comes in pieces of a few KiB that end anywhere. */
const SMALL_BYTES = 256 * 1024;

/** Starts a sync to this node: makes directories, links and empty files, and finds the files whose content it lacks. May be repeated. */
export async function beginSync(
  dest: string,
  entries: readonly SyncEntry[],
  options: DestinationOptions,
): Promise<NodeSync> {
  assertEntries(entries);
  const destination = resolveDestination(dest, options.home);
  if (destination.link !== undefined) assertLinkable(destination.link);
  const tree = new FileTree(destination.path);
  const need: number[] = [];
  for (const [index, entry] of entries.entries()) {
    if (index % BATCH === BATCH - 1) await new Promise((resolve) => setImmediate(resolve));
    guard(tree.pathOf(entry), () => {
      tree.ensureParent(entry);
      if (entry.kind === "dir") tree.makeDirectory(entry);
      else if (entry.kind === "link") tree.makeLink(entry);
      else if (!tree.hasFile(entry)) {
        tree.assertReplaceable(entry);
        need.push(index);
      }
    });
  }
  return new FileReceiver({ tree, entries, need, link: () => linkTo(destination, options) });
}

function linkTo({ path, link }: ReturnType<typeof resolveDestination>, options: DestinationOptions): void {
  if (link !== undefined) makeLink(link, path, options);
}

interface ReceiverOptions {
  readonly tree: FileTree;
  readonly entries: readonly SyncEntry[];
  readonly need: readonly number[];
  readonly link: () => void;
}

interface OpenFile {
  readonly entry: SyncEntry;
  readonly temporary: string;
  readonly file: FileHandle;
  left: number;
}

/** Takes the contents of the needed files back to back; each file appears complete or not at all. */
class FileReceiver implements NodeSync {
  readonly need: readonly number[];
  readonly #options: ReceiverOptions;
  #position = 0;
  #open: OpenFile | undefined;
  /** Beginning of a small file. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.need = options.need;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      const size = this.#open === undefined ? this.#next()?.size : undefined;
      if (size !== undefined && size <= SMALL_BYTES) {
        rest = this.#gather(rest, size);
        continue;
      }
      const current = this.#open ?? (await this.#openNext());
      const piece = rest.subarray(0, current.left);
      await guardAsync(current.entry.path, async () => current.file.writeFile(piece));
      current.left -= piece.length;
      rest = rest.subarray(piece.length);
      if (current.left === 0) await this.#complete(current);
    }
  }

  async finish(): Promise<void> {
    const { need, tree, entries, link } = this.#options;
    // Files without content may stand at the end, where no bytes reach them.
    while (this.#open === undefined && this.#position < need.length && this.#next()?.size === 0)
      await this.#openNext(true);
    if (this.#open !== undefined || this.#position < need.length) {
      throw new AgentPeerError("BAD_PARAMS", "Less content came than was asked for.");
    }
    guard("the destination", () => {
      tree.finishDirectories(entries);
      link();
    });
  }

  abort(): void {
    const current = this.#open;
    this.#open = undefined;
    if (current === undefined) return;
    rmSync(current.temporary, { force: true });
    void current.file.close().catch(() => undefined);
  }

  #next(): SyncEntry | undefined {
    return this.#options.entries[this.#options.need[this.#position] ?? -1];
  }

  /** Takes what belongs to a small file, and writes it when it is all there. Gives what comes after it. */
  #gather(bytes: Uint8Array, size: number): Uint8Array {
    const taken = bytes.subarray(0, size - this.#heldBytes);
    this.#held.push(taken);
    this.#heldBytes += taken.length;
    if (this.#heldBytes === size) {
      const [first = taken] = this.#held;
      const whole = this.#held.length === 1 ? first : Buffer.concat(this.#held);
      this.#held = [];
      this.#heldBytes = 0;
      this.#writeWhole(whole);
    }
    return bytes.subarray(taken.length);
  }

  /** A file that is all there. Without waiting: the hops to other threads would take several times as long as the writing. */
  #writeWhole(bytes: Uint8Array): void {
    const entry = this.#next();
    if (entry === undefined) throw new AgentPeerError("BAD_PARAMS", "More content came than was asked for.");
    const path = this.#options.tree.pathOf(entry);
    const temporary = temporaryName(path);
    guard(entry.path, () => {
      const file = openSync(temporary, "wx", entry.mode & 0o7777);
      try {
        if (bytes.length > 0) writeFileSync(file, bytes);
        fchmodSync(file, entry.mode & 0o7777);
        futimesSync(file, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw error;
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    });
    this.#position += 1;
  }

  /** Opens the next file that has content; makes the empty ones on the way. */
  async #openNext(isLast = false): Promise<OpenFile> {
    for (;;) {
      const entry = this.#next();
      if (entry === undefined) throw new AgentPeerError("BAD_PARAMS", "More content came than was asked for.");
      const temporary = temporaryName(this.#options.tree.pathOf(entry));
      const file = await guardAsync(entry.path, () => open(temporary, "wx", entry.mode & 0o7777));
      const current: OpenFile = { entry, temporary, file, left: entry.size };
      this.#open = current;
      if (current.left > 0) return current;
      await this.#complete(current);
      if (isLast) return current;
    }
  }

  async #complete({ entry, temporary, file }: OpenFile): Promise<void> {
    const path = this.#options.tree.pathOf(entry);
    await guardAsync(path, () => file.close());
    guard(path, () => {
      chmodSync(temporary, entry.mode & 0o7777);
      utimesSync(temporary, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
      renameSync(temporary, path);
    });
    this.#open = undefined;
    this.#position += 1;
  }
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

async function guardAsync<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

/** Turns the errors that a user can do something about into errors that say so. */
export function explainWriteError(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new AgentPeerError("NO_SPACE", `No space is left on the node for ${path}.`, {
      cause: error,
      hint: "Free space on the node's disk, or ask for a larger one (disk_size), then repeat the command.",
    });
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new AgentPeerError("NOT_ALLOWED", `This user may not write ${path} on the node.`, { cause: error });
  }
  return error;
}
