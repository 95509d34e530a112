import { createHash } from "node:crypto";
import { Secret } from "../../../shared/secret.ts";
import { sessionExpired } from "../errors.ts";
import { DEAD_ZONE_MS, REFRESH_AHEAD_MS } from "./lifetime.ts";
import type { ServerTime } from "./server-time.ts";
import { describeSource, type Credentials, type Source } from "./source.ts";
import { renewals } from "./sts-errors.ts";

/** After a refused renewal the old credentials serve this long before the next try. */
const RETRY_AFTER_MS = 30_000;

interface Entry {
  credentials?: Credentials;
  loading?: Promise<Credentials>;
  failedAtMs?: number;
}

/** Credentials by where they come from: loaded once for all who wait, renewed before they end, never handed out when dying. */
export class CredentialCache {
  readonly #time: ServerTime;
  readonly #entries = new Map<string, Entry>();

  constructor(time: ServerTime) {
    this.#time = time;
  }

  /**
   * `scope` tells apart sources that read the same but live elsewhere (another HOME or endpoint). Throws what `load` throws, and
   * AwsAuthError when the credentials have expired and cannot be renewed.
   */
  async get(source: Source, scope: string, load: () => Promise<Credentials>): Promise<Credentials> {
    const key = fingerprint(source, scope);
    const entry = this.#entries.get(key) ?? {};
    this.#entries.set(key, entry);
    const known = entry.credentials;
    const leftMs = this.#leftMs(known);
    if (known !== undefined && (leftMs > REFRESH_AHEAD_MS || this.#mayWait(entry, leftMs))) return known;
    try {
      return requireAlive(source, await this.#load(entry, load), this.#time.now());
    } catch (error) {
      if (known === undefined || leftMs <= DEAD_ZONE_MS) throw error;
      entry.failedAtMs = this.#time.now();
      return known;
    }
  }

  /** What is held already, also when it has ended; undefined = nothing was loaded. */
  peek(source: Source, scope: string): Credentials | undefined {
    return this.#entries.get(fingerprint(source, scope))?.credentials;
  }

  /** Drops everything, so that the next call asks again. */
  clear(): void {
    this.#entries.clear();
  }

  #leftMs(credentials: Credentials | undefined): number {
    const expiresAtMs = credentials?.expiresAtMs;
    return expiresAtMs === undefined ? Number.POSITIVE_INFINITY : expiresAtMs - this.#time.now();
  }

  #mayWait(entry: Entry, leftMs: number): boolean {
    return (
      entry.failedAtMs !== undefined && leftMs > DEAD_ZONE_MS && this.#time.now() - entry.failedAtMs < RETRY_AFTER_MS
    );
  }

  async #load(entry: Entry, load: () => Promise<Credentials>): Promise<Credentials> {
    entry.loading ??= load().finally(() => {
      delete entry.loading;
    });
    const credentials = await entry.loading;
    entry.credentials = credentials;
    delete entry.failedAtMs;
    return credentials;
  }
}

function requireAlive(source: Source, credentials: Credentials, nowMs: number): Credentials {
  if (credentials.expiresAtMs !== undefined && credentials.expiresAtMs - nowMs <= DEAD_ZONE_MS) {
    throw sessionExpired(describeSource(source), renewals(source));
  }
  return credentials;
}

/** Changes with every part of the source, keys included; a hash, so that no key stays in memory as a name. */
function fingerprint(source: Source, scope: string): string {
  const text = JSON.stringify([source, scope], function reveal(this: Record<string, unknown>, name, value: unknown) {
    const raw = this[name];
    return raw instanceof Secret ? raw.reveal() : value;
  });
  return createHash("sha256").update(text).digest("hex");
}
