import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";

/** Buckets that we make drop the parts after a week; others may keep them longer. */
const KEPT_MS = 30 * 86_400_000;

/** An upload in parts that was begun and neither finished nor given up. */
export interface UnfinishedUpload {
  readonly id: string;
  /** Of the file when it was begun. */
  readonly size: number;
  readonly mtimeMs: number;
  /** Whether the server keeps checksums of its parts. */
  readonly hasChecksums: boolean;
}

/** What is remembered of the upload of one object. */
export interface UploadMemory {
  /** Whether anybody can go on with what is kept. */
  readonly isKept: boolean;
  recall(): UnfinishedUpload | undefined;
  keep(upload: UnfinishedUpload): void;
  forget(): void;
}

/** Two uploads at once of one object do not share one: the second is not remembered. */
const NOTHING: UploadMemory = {
  isKept: false,
  recall: () => undefined,
  keep: () => undefined,
  forget: () => undefined,
};

/**
 * The server's own uploads in parts, in a small file each, so that they go on where they stopped. Asking the bucket which ones it has
 * would find those of other programs, too.
 */
export class UnfinishedUploads {
  readonly #directory: string | undefined;
  /** Files of uploads that are under way. */
  readonly #held = new Set<string>();

  /** Without a directory nothing is remembered. */
  constructor(directory?: string) {
    this.#directory = directory;
  }

  /** Gives `work` what is remembered of the upload of an object. */
  async with<T>(objectUrl: string, work: (memory: UploadMemory) => Promise<T>): Promise<T> {
    const path = this.#directory && join(this.#directory, createHash("sha256").update(objectUrl).digest("hex"));
    if (path === undefined || this.#held.has(path)) return work(NOTHING);
    this.#held.add(path);
    try {
      return await work({
        isKept: true,
        recall: () => read(path),
        keep: (upload) => this.#write(path, upload),
        forget: () => rmSync(path, { force: true }),
      });
    } finally {
      this.#held.delete(path);
    }
  }

  #write(path: string, upload: UnfinishedUpload): void {
    this.#removeOld();
    writeFileAtomic(path, JSON.stringify(upload), { mode: 0o600, directoryMode: 0o700 });
  }

  /** Most were given up by whoever began them. */
  #removeOld(): void {
    const directory = this.#directory ?? "";
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined && stats.mtimeMs + KEPT_MS < Date.now() && !this.#held.has(path))
        rmSync(path, { force: true });
    }
  }
}

function read(path: string): UnfinishedUpload | undefined {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const { id, size, mtimeMs, hasChecksums } = fieldsOf(readFileSync(path, "utf8"));
  if (typeof id !== "string" || typeof size !== "number" || typeof mtimeMs !== "number") return undefined;
  return { id, size, mtimeMs, hasChecksums: hasChecksums === true };
}

/** A disk that was full may leave anything. */
function fieldsOf(text: string): Partial<Readonly<Record<keyof UnfinishedUpload, unknown>>> {
  try {
    return Object(JSON.parse(text)) as Partial<Readonly<Record<keyof UnfinishedUpload, unknown>>>;
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
