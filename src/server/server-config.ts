import { readFileSync, statSync } from "node:fs";
import type { Clock } from "../shared/clock.ts";
import { InvalidConfigError } from "../shared/errors.ts";

export type Config = Readonly<Record<string, unknown>>;

/** Keys beside those of 0.14.1 that only the server's own file decides: they say who may do what. */
const SERVER_ONLY = ["auth", "rbac"];

/** A busy server looks at the file no more often than this: less than a command takes to start, so that it finds what was written before. */
const LOOK_MS = 10;

/** Reads the server's config file and reads it again when it changed. A missing file is an empty config. */
export class ServerConfig {
  readonly #path: string;
  readonly #clock: Clock;
  #stamp: string | undefined;
  #config: Config = {};
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Throws InvalidConfigError, with file, line and column. */
  async load(): Promise<Config> {
    if (this.#clock.now() - this.#lookedAt < LOOK_MS) return this.#config;
    const stamp = stampOf(this.#path);
    if (stamp === this.#stamp) {
      this.#lookedAt = this.#clock.now();
      return this.#config;
    }
    this.#config = stamp === undefined ? {} : await readConfig(this.#path);
    this.#stamp = stamp;
    this.#lookedAt = this.#clock.now();
    return this.#config;
  }

  /** The config of one request: the client's over the server's. Throws InvalidConfigError. */
  async overlay(client: Config): Promise<{ readonly config: Config; readonly warning: string | undefined }> {
    const server = await this.load();
    if (Object.keys(client).length === 0) return { config: server, warning: undefined };
    const { overlayClientConfig } = await import("../shared/config/server-overlay.ts");
    return overlayClientConfig(server, client, { serverOnly: SERVER_ONLY });
  }
}

function stampOf(path: string): string | undefined {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}:${size}:${ino}`;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw unreadable(path, error);
  }
}

async function readConfig(path: string): Promise<Config> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
  const { parseConfig } = await import("../shared/config/config.ts");
  return parseConfig(text, { file: path, side: "server" });
}

function unreadable(path: string, cause: unknown): InvalidConfigError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new InvalidConfigError(`The config file ${path} cannot be read: ${reason}.`, {
    cause,
    hint: "Check its permissions, or name another file in SKYPILOT_GLOBAL_CONFIG.",
  });
}
