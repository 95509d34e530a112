import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import { uriOf } from "../../shared/bucket-uri.ts";
import { freeSpace } from "../sync/free-space.ts";
import { readChunk } from "../logs/tail-file.ts";
import { nameAction, readCacheLine, readUploadFailure } from "./rclone-command.ts";

/** A mount whose files go to the bucket by way of the disk. */
export interface UploadingMount {
  readonly spec: Pick<MountSpec, "dest" | "scheme" | "bucket" | "prefix">;
  readonly logPath: string;
  readonly isRunning: () => boolean;
  /** Whether its cache holds what is not in the bucket. */
  readonly hasUnsent: () => Promise<boolean>;
}

const LOOK_MS = 200;
/** rclone says each second what waits: one that runs and says nothing hangs. */
const SILENCE_MS = 60_000;
/** What is refused for good is tried this often, and at least for so long: new permissions take a moment to count. */
const TRIES = 3;
/** The cache of a program that does not run is read at each of so many looks: it may be large. */
const CACHE_LOOKS = 25;
const REFUSED_MS = 10_000;
/** A disk with less than this is full. */
const FULL_BYTES = 256 * 1024;

/**
 * Resolves when everything that was written is in the bucket. What S3 is not there for is waited for. Throws MOUNT_DENIED when S3 refuses
 * it for good, MOUNT_FAILED when the mount's program hangs.
 */
export async function waitForUploads(
  mount: UploadingMount,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const log = new NewLines(mount.logPath);
  const beganMs = clock.now();
  let heardMs = beganMs;
  // What has just been closed counts from the next look on.
  for (let [clean, idle] = [0, 0]; clean < 2;) {
    signal.throwIfAborted();
    await clock.sleep(LOOK_MS, { signal });
    const lines = log.read();
    clean = cleanLooks(lines, clean);
    if (clock.now() - beganMs > REFUSED_MS) throwRefusal(lines, mount.spec);
    const isRunning = mount.isRunning();
    // One that died is being started again, and then goes on with what waits.
    if (!isRunning) {
      if (idle % CACHE_LOOKS === 0 && !(await mount.hasUnsent())) return;
      clean = 0;
    }
    idle = isRunning ? 0 : idle + 1;
    if (lines.length > 0 || !isRunning) heardMs = clock.now();
    if (clock.now() - heardMs > SILENCE_MS) throw hangs(mount);
  }
}

/** Lines that a log gets from now on. */
class NewLines {
  readonly #path: string;
  #offset: number;
  #rest = "";

  constructor(path: string) {
    this.#path = path;
    this.#offset = sizeOf(path);
  }

  read(): readonly string[] {
    // A log that has grown too long is begun anew.
    if (sizeOf(this.#path) < this.#offset) [this.#offset, this.#rest] = [0, ""];
    const bytes = readChunk(this.#path, this.#offset);
    this.#offset += bytes.length;
    const lines = (this.#rest + bytes.toString("utf8")).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** How many looks in a row have found nothing that waits. */
function cleanLooks(lines: readonly string[], before: number): number {
  return lines.reduce((clean, line) => {
    const seen = readCacheLine(line);
    if (seen === undefined) return clean;
    return seen.waiting === 0 ? clean + 1 : 0;
  }, before);
}

function throwRefusal(lines: readonly string[], spec: UploadingMount["spec"]): void {
  for (const line of lines) {
    const failure = readUploadFailure(line);
    if (failure?.isFinal === true && failure.tries >= TRIES) throw refused(spec, failure.reason);
  }
}

/** On a full disk the program cannot say anything either. */
function hangs({ spec, logPath }: UploadingMount): AgentPeerError {
  const why = freeSpace(logPath).free < FULL_BYTES ? "The node's disk is full" : `The mount of ${spec.dest} hangs`;
  return new AgentPeerError(
    "MOUNT_FAILED",
    `${why}, so it is not known whether what was written to ${spec.dest} is in ${uriOf(spec)}.`,
  );
}

function refused(spec: UploadingMount["spec"], reason: string): AgentPeerError {
  return new AgentPeerError(
    "MOUNT_DENIED",
    `What was written to ${spec.dest} is not in ${uriOf(spec)}: ${nameAction(`upload of ${reason}`, spec)}`,
  );
}

/** Whether there is any file in a folder, however deep. */
export function hasFiles(folder: string): boolean {
  try {
    return readdirSync(folder, { withFileTypes: true }).some((entry) =>
      entry.isDirectory() ? hasFiles(join(folder, entry.name)) : true,
    );
  } catch {
    // It is not there: nothing was cached yet.
    return false;
  }
}
