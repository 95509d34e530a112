import type { Kysely } from "kysely";
import {
  dropClusterLock,
  extendClusterLocks,
  findClusterLock,
  takeClusterLock,
} from "../../db/queries/cluster-locks.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import type { ClusterLocks } from "../operation.ts";
import { createClusterLocks } from "./lock.ts";

/** A lock that was not extended for this long belongs to a dead server. */
export const LOCK_LEASE_MS = 30_000;
const EXTEND_MS = 10_000;
const RETRY_MS = 250;
/** Without an extension for this long the lock counts as lost, well before another server may take it. */
const LOST_MS = LOCK_LEASE_MS - EXTEND_MS;

export interface SharedLockOptions {
  readonly db: Kysely<Database>;
  /** Identity of this server among those that share the database. */
  readonly owner: string;
  readonly clock: Clock;
  /** The database did not answer in the background; the lease may run out. */
  readonly onError: (error: unknown) => void;
}

/**
 * One writer per cluster among all servers that share a database: a lease row per cluster, behind the queue within this server. A server
 * that stalls for longer than the lease loses it together with its requests' leases, and then `effect()` refuses to act.
 */
export class SharedClusterLocks implements ClusterLocks {
  readonly #options: SharedLockOptions;
  readonly #local = createClusterLocks();
  readonly #held = new Map<string, AbortController>();
  /** When the leases were last known to be ours. */
  #extendedMs = 0;
  readonly #background = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SharedLockOptions) {
    this.#options = options;
  }

  async findHolder(name: string): Promise<string | undefined> {
    const { db, clock } = this.#options;
    return (await this.#local.findHolder(name)) ?? (await findClusterLock(db, name, clock.now()))?.holder;
  }

  async acquire(
    name: string,
    requestId: string,
    wait: { readonly onBlocked?: (holderRequestId: string) => void; readonly signal?: AbortSignal } = {},
  ): Promise<() => void> {
    const releaseLocal = await this.#local.acquire(name, requestId, wait);
    try {
      await this.#takeLease(name, requestId, wait);
    } catch (error) {
      releaseLocal();
      throw error;
    }
    return this.#releaseOf(name, releaseLocal);
  }

  async tryAcquire(name: string, requestId: string): Promise<(() => void) | undefined> {
    const releaseLocal = await this.#local.tryAcquire(name, requestId);
    if (releaseLocal === undefined) return undefined;
    let isOurs = false;
    try {
      isOurs = (await this.#tryLease(name, requestId)).isOurs;
    } finally {
      if (!isOurs) releaseLocal();
    }
    return isOurs ? this.#releaseOf(name, releaseLocal) : undefined;
  }

  lossOf(name: string): AbortSignal {
    return this.#held.get(name)?.signal ?? AbortSignal.abort(lost(name));
  }

  /** Resolves when every lock that was released is free for other servers. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#background);
  }

  async #takeLease(
    name: string,
    requestId: string,
    wait: { readonly onBlocked?: (holderRequestId: string) => void; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { signal, onBlocked } = wait;
    let isTold = false;
    for (;;) {
      const { isOurs, holder } = await this.#tryLease(name, requestId);
      if (isOurs) return;
      if (!isTold && holder !== undefined) {
        isTold = true;
        onBlocked?.(holder);
      }
      await this.#options.clock.sleep(RETRY_MS, signal === undefined ? {} : { signal });
    }
  }

  /** `holder`: undefined also when it became free at this moment, so that the next try may get it. */
  async #tryLease(
    name: string,
    requestId: string,
  ): Promise<{ readonly isOurs: boolean; readonly holder: string | undefined }> {
    const { db, owner, clock } = this.#options;
    const now = clock.now();
    const row = await takeClusterLock(db, { name, holder: requestId, owner, expires_at: now + LOCK_LEASE_MS }, now);
    return { isOurs: row?.owner === owner, holder: row?.holder };
  }

  #releaseOf(name: string, releaseLocal: () => void): () => void {
    const { db, owner } = this.#options;
    if (this.#held.size === 0) this.#extendedMs = this.#options.clock.now();
    this.#held.set(name, new AbortController());
    this.#timer ??= setInterval(() => this.extend(), EXTEND_MS).unref();
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#held.delete(name);
      if (this.#held.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      // A lock that cannot be deleted runs out; within this server the next one may take it at once.
      this.#run(dropClusterLock(db, name, owner).finally(releaseLocal));
    };
  }

  /** Extends the leases, and gives up locks whose leases could not be extended in time. For the timer, and for tests. */
  extend(): void {
    const { db, owner, clock } = this.#options;
    const now = clock.now();
    if (now - this.#extendedMs >= LOST_MS) for (const [name, loss] of this.#held) loss.abort(lost(name));
    const extended = extendClusterLocks(db, owner, now + LOCK_LEASE_MS).then(() => {
      this.#extendedMs = now;
    });
    this.#run(extended);
  }

  #run(work: Promise<void>): void {
    const task: Promise<void> = work.catch(this.#options.onError).finally(() => this.#background.delete(task));
    this.#background.add(task);
  }
}

function lost(name: string): OperationFailedError {
  return new OperationFailedError(
    `This server lost its database for too long to be sure that it still holds ${name}.`,
    {
      hint: "Repeat the command.",
    },
  );
}
