import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, rmSync, writeSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/**
 * Values of a job's envs and secrets while it waits and runs: one 0600 file per job, named by the submission's key because it must
 * exist before the job does. Gone when the job ends.
 */
export class JobSecrets {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Synced to disk. Writes nothing for a job without variables. */
  save(key: string, values: Readonly<Record<string, string>>): void {
    if (Object.keys(values).length === 0) return;
    const file = openSync(this.#path(key), "w", 0o600);
    try {
      writeSync(file, JSON.stringify(values));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  load(key: string): Readonly<Record<string, string>> {
    try {
      return JSON.parse(readFileSync(this.#path(key), "utf8")) as Record<string, string>;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      throw error;
    }
  }

  remove(key: string): void {
    rmSync(this.#path(key), { force: true });
  }

  /** Removes the files of submissions that never became jobs and of jobs that ended while no agent ran. */
  retain(keys: Iterable<string>): void {
    const wanted = new Set(Array.from(keys, nameOf));
    for (const name of readdirSync(this.#directory)) {
      if (!wanted.has(name)) rmSync(join(this.#directory, name), { force: true });
    }
  }

  #path(key: string): string {
    return join(this.#directory, nameOf(key));
  }
}

function nameOf(key: string): string {
  return `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.json`;
}
