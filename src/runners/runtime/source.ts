import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { OperationFailedError } from "../../shared/errors.ts";
import { downloadRuntime } from "./download.ts";
import { pinnedRuntimes, type NodeArch, type PinnedRuntime } from "./pinned.ts";

export type Codec = "raw" | "zstd" | "gzip";

export interface RuntimeFile {
  readonly path: string;
  readonly size: number;
}

export interface RuntimeSourceOptions {
  /** Where downloads and compressed copies are kept, e.g. `~/.sky/ts/runtimes`. */
  readonly cacheDir: string;
  /** Base URL of the npm registry, ending in `/`. */
  readonly registry: string;
}

/** Where runtimes for nodes come from on the server's side: the installed package, else the registry; checked by hash. */
export class RuntimeSource {
  readonly #options: RuntimeSourceOptions;
  readonly #work = new Map<string, Promise<RuntimeFile>>();

  constructor(options: RuntimeSourceOptions) {
    this.#options = options;
  }

  get registry(): string {
    return this.#options.registry;
  }

  /** The program, possibly compressed. Throws OperationFailedError when it cannot be had. */
  get(arch: NodeArch, codec: Codec): Promise<RuntimeFile> {
    const key = `${arch}.${codec}`;
    const work =
      this.#work.get(key) ??
      this.#make(pinnedRuntimes[arch], codec).catch((error: unknown) => {
        this.#work.delete(key);
        throw error;
      });
    this.#work.set(key, work);
    return work;
  }

  async #make(runtime: PinnedRuntime, codec: Codec): Promise<RuntimeFile> {
    const { cacheDir } = this.#options;
    const cached = join(
      cacheDir,
      `${runtime.sha256.slice(0, 16)}-${runtime.arch}${codec === "raw" ? "" : `.${codec}`}`,
    );
    if (existsSync(cached)) return fileAt(cached);
    if (codec === "raw") {
      const installed = findInstalled(runtime);
      if (installed !== undefined && (await hasHash(installed, runtime))) return fileAt(installed);
    }
    mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
    const temporary = `${cached}.${process.pid}.tmp`;
    try {
      if (codec === "raw") await downloadRuntime(runtime, this.#options.registry, temporary);
      else await compress((await this.get(runtime.arch, "raw")).path, temporary, codec);
      renameSync(temporary, cached);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    return fileAt(cached);
  }
}

/** The platform's package, when it is installed beside us. */
function findInstalled(runtime: PinnedRuntime): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(`${runtime.packageName}/bin/node`);
  } catch {
    // Installed for another platform.
    return undefined;
  }
}

async function hasHash(path: string, runtime: PinnedRuntime): Promise<boolean> {
  if (statSync(path).size !== runtime.size) return false;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex") === runtime.sha256;
}

async function compress(from: string, to: string, codec: "zstd" | "gzip"): Promise<void> {
  // The fastest level of gzip: a higher one takes longer than it saves on any link faster than a modem.
  const coder =
    codec === "gzip"
      ? createGzip({ level: 1, chunkSize: 1 << 18 })
      : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 }, chunkSize: 1 << 18 });
  await pipeline(
    createReadStream(from, { highWaterMark: 1 << 18 }),
    coder,
    createWriteStream(to, { mode: 0o600 }),
  ).catch((error: unknown) => {
    throw new OperationFailedError(`${to} cannot be written: ${(error as Error).message}`, { cause: error });
  });
}

function fileAt(path: string): RuntimeFile {
  return { path, size: statSync(path).size };
}
