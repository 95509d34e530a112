import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { downloadFile } from "../../platform/download.ts";
import type { MounterPin } from "../../shared/agent/mounts.ts";
import { orAborted } from "../../shared/or-aborted.ts";
import { InvalidConfigError, OperationFailedError } from "../../shared/errors.ts";

const VERSION = "v1.75.1";
const MAX_BYTES = 200 * 1024 * 1024;

/** SHA-256 of the archives in https://downloads.rclone.org/v1.75.1/; independent build recipes in public repositories agree on them. */
const ARCHIVES = {
  x64: { name: "amd64", sha256: "982b5aa772841168f8e380f139e9e787b2a105403e32b94da8676a0e1c0a13ab" },
  arm64: { name: "arm64", sha256: "03f2504174034b6d004152ed7369251c9a9ec1f7e0836eda420f5c7a5ec0dff9" },
} as const;

/** The rclone of nodes that have none; docs/adr/0017-rclone-mounts-buckets.md says why this one. */
export const pinnedMounters: readonly MounterPin[] = Object.entries(ARCHIVES).map(([arch, { name, sha256 }]) => {
  const folder = `rclone-${VERSION}-linux-${name}`;
  const url = `https://downloads.rclone.org/${VERSION}/${folder}.zip`;
  return { arch, version: VERSION, url, sha256, program: `${folder}/rclone` };
});

export interface MountersOptions {
  /** Where archives are kept, e.g. `~/.sky/ts/runtimes`. */
  readonly cacheDir: string;
  /** A file with other pins, as JSON: a mirror's, or those of a build of one's own (`SKYPILOT_RCLONE_PINS`). */
  readonly pinsFile: string | undefined;
}

/** The programs that mount, on the server's side. */
export class Mounters {
  readonly #options: MountersOptions;
  readonly #fetching = new Map<string, Promise<string>>();

  constructor(options: MountersOptions) {
    this.#options = options;
  }

  /** Throws InvalidConfigError when the file of other pins cannot be used. */
  async pins(): Promise<readonly MounterPin[]> {
    const { pinsFile } = this.#options;
    if (pinsFile === undefined || pinsFile === "") return pinnedMounters;
    try {
      const pins: unknown = JSON.parse(await readFile(pinsFile, "utf8"));
      if (Array.isArray(pins) && pins.every(isPin)) return pins;
    } catch (error) {
      throw unusable(pinsFile, error);
    }
    throw unusable(pinsFile);
  }

  /**
   * Path of the archive on this machine, checked by its hash. Whoever wants it meanwhile shares the fetch, which goes on when one of them
   * leaves. Throws OperationFailedError when it cannot be had.
   */
  archive(pin: MounterPin, signal: AbortSignal): Promise<string> {
    const fetching = this.#fetching.get(pin.sha256) ?? this.#find(pin).finally(() => this.#fetching.delete(pin.sha256));
    this.#fetching.set(pin.sha256, fetching);
    // Whoever waits is told.
    fetching.catch(() => undefined);
    return orAborted(fetching, signal);
  }

  async #find(pin: MounterPin): Promise<string> {
    const { cacheDir } = this.#options;
    const path = join(cacheDir, basename(new URL(pin.url).pathname));
    const kept = await readFile(path).catch(() => undefined);
    if (kept !== undefined && hashOf(kept) === pin.sha256) return path;
    const bytes = await downloadFile(new URL(pin.url), { maxBytes: MAX_BYTES }).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw unavailable(`${pin.url} cannot be fetched by the API server: ${why}`, path, error);
    });
    const sha256 = hashOf(bytes);
    if (sha256 !== pin.sha256)
      throw unavailable(`${pin.url} is not rclone ${pin.version}: its SHA-256 is ${sha256}`, path);
    await mkdir(cacheDir, { recursive: true, mode: 0o700 });
    writeFileAtomic(path, bytes, { mode: 0o600 });
    return path;
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function isPin(value: unknown): value is MounterPin {
  if (typeof value !== "object" || value === null) return false;
  const pin = value as Partial<Record<keyof MounterPin, unknown>>;
  const isText = [pin.arch, pin.version, pin.url, pin.sha256, pin.program].every((one) => typeof one === "string");
  return isText && URL.canParse(pin.url as string) && /^[0-9a-f]{64}$/u.test(pin.sha256 as string);
}

function unusable(path: string, cause?: unknown): InvalidConfigError {
  return new InvalidConfigError(`${path} (SKYPILOT_RCLONE_PINS) does not say which rclone nodes get.`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'It is a JSON list of {"arch": "x64" or "arm64", "version", "url" of a zip archive, "sha256", "program" in it}.',
  });
}

function unavailable(why: string, path: string, cause?: unknown): OperationFailedError {
  return new OperationFailedError(why, {
    ...(cause === undefined ? {} : { cause }),
    hint: `Install rclone 1.58 or newer on the nodes, or put the archive on the API server as ${path}.`,
  });
}
