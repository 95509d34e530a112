import { constants } from "node:fs";
import { chmod, mkdir, open, readdir, rename, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { shortenHome } from "../../platform/paths.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import { assertLinkable, makeLink, resolveDestination, type Destination } from "../sync/dest.ts";
import { removePlace } from "./left-over.ts";

/** While nothing is mounted on the directory, its owner can look at it and remove it, and write nothing. */
const COVERED_MODE = 0o500;
const OPEN_MODE = 0o755;
const OWNER_WRITES = 0o200;

export interface PlaceOptions {
  readonly dest: string;
  /** Where it lies when that is not `dest`. */
  readonly place: string | undefined;
  readonly home: string;
  readonly mayUseSudo: boolean;
  readonly clock: Clock;
}

/**
 * The directory that a bucket is mounted on. It is asked without holding up the agent, because it may lie in another mount. What programs write
 * there while nothing is mounted (root may, others for a moment) is set aside, where it is found, instead of being hidden beneath the mount.
 */
export class MountPlace {
  readonly #options: PlaceOptions;
  readonly #destination: Destination;
  /** The directory itself, while a mount is coming to lie on it. */
  #beneath: FileHandle | undefined;
  #aside: string | undefined;
  #lastAsideMs: number | undefined;
  /** One who moves files at a time. */
  #moving: Promise<void> = Promise.resolve();

  constructor(options: PlaceOptions) {
    this.#options = options;
    this.#destination = resolveDestination(options.place ?? options.dest, options.home);
  }

  get path(): string {
    return this.#destination.path;
  }

  /** Folder with files that were written while nothing was mounted; undefined = there were none. */
  get aside(): string | undefined {
    return this.#aside;
  }

  /** When files were found last that had been written while nothing was mounted. */
  get lastAsideMs(): number | undefined {
    return this.#lastAsideMs;
  }

  /** Takes over what another place at the same path has set aside. */
  inherit(before: MountPlace): void {
    this.#aside = before.#aside;
    this.#lastAsideMs = before.#lastAsideMs;
  }

  /** Throws PATH_EXISTS when something real is where a link has to be. */
  assertFree(): void {
    const { link } = this.#destination;
    if (link !== undefined) assertLinkable(link, this.#options.home);
  }

  /** Makes the directory. `wasMounted`: what is in it was written since, and is set aside; else it is refused: it would be out of sight. */
  async prepare({ wasMounted }: { readonly wasMounted: boolean }): Promise<void> {
    const { path } = this;
    await this.#make();
    const { mode } = await stat(path);
    if ((mode & OWNER_WRITES) === 0) await chmod(path, OPEN_MODE).catch(() => undefined);
    if ((await readdir(path)).length > 0) {
      if (!wasMounted) throw nonEmpty(this.#options.dest);
      await this.setAside();
      await this.#make();
    }
    await this.#beneath?.close();
    this.#beneath = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** To be called when something is mounted on it, or will not be. */
  async cover({ isMounted }: { readonly isMounted: boolean }): Promise<void> {
    const beneath = this.#beneath;
    this.#beneath = undefined;
    if (beneath === undefined) return;
    try {
      if (!isMounted) return;
      // The path leads into the mount; only this leads beneath.
      const path = `/proc/self/fd/${beneath.fd}`;
      await this.#moveFrom(path);
      // A directory of another mount has no such modes.
      await beneath.chmod(COVERED_MODE).catch(() => undefined);
    } finally {
      await beneath.close();
    }
  }

  /** Sets aside what is in the directory while nothing is mounted on it. */
  setAside(): Promise<void> {
    return this.#moveFrom(this.path);
  }

  makeLink(): void {
    const { home, mayUseSudo } = this.#options;
    const { link, path } = this.#destination;
    if (link !== undefined) makeLink(link, path, { home, mayUseSudo });
  }

  /** Removes the empty directory, and the link that leads to it. */
  async remove(): Promise<void> {
    await removePlace(this.#destination);
  }

  /** As a user writes it. */
  shown(path: string): string {
    return shortenHome(path, this.#options.home);
  }

  async #make(): Promise<void> {
    const { dest } = this.#options;
    try {
      await mkdir(this.path, { recursive: true });
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      const isTaken = code === "EEXIST" || code === "ENOTDIR";
      if (!isTaken && code !== "EACCES") throw error;
      const what = isTaken ? `${dest}, or what it lies in, is a file on the node` : `This user may not make ${dest}`;
      throw new AgentPeerError("MOUNT_FAILED", `${what}.`, { hint: "Mount to another path.", cause: error });
    }
  }

  /** To beside the mount, on the same disk: programs that have the files open go on with them. */
  #moveFrom(folder: string): Promise<void> {
    const move = async (): Promise<void> => {
      const names = await readdir(folder).catch(ifGone);
      if (names.length === 0) return;
      this.#aside ??= await this.#newFolder();
      this.#lastAsideMs = this.#options.clock.now();
      const there = new Set(await readdir(this.#aside));
      for (const name of names) {
        const free = freeName(name, there);
        there.add(free);
        await rename(join(folder, name), join(this.#aside, free));
      }
    };
    const moved = this.#moving.then(move);
    this.#moving = moved.catch(() => undefined);
    return moved;
  }

  async #newFolder(): Promise<string> {
    const parent = dirname(this.path);
    const there = new Set(await readdir(parent));
    const folder = join(parent, freeName(`${basename(this.path)}.while-unmounted`, there));
    await mkdir(folder);
    return folder;
  }
}

function freeName(name: string, there: ReadonlySet<string>): string {
  for (let count = 1; ; count += 1) {
    const wanted = count === 1 ? name : `${name}.${count}`;
    if (!there.has(wanted)) return wanted;
  }
}

/** Where there is no folder nothing was written. */
function ifGone(error: unknown): string[] {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") return [];
  throw error;
}

function nonEmpty(dest: string): AgentPeerError {
  return new AgentPeerError(
    "MOUNT_FAILED",
    `Mount path ${dest} is non-empty. ${dest} may be a standard unix path or may contain files from a previous task. ` +
      "To fix, change the mount path to an empty or non-existent path.",
  );
}
