import type { Kysely } from "kysely";
import {
  dropClusterLock,
  extendClusterLocks,
  findClusterLock,
  takeClusterLock,
} from "../../db/queries/cluster-locks.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import type { ClusterLocks } from "../operation.ts";
import { createClusterLocks } from "./lock.ts";

/** A lock that was not extended for this long belongs to a dead server. */
export const LOCK_LEASE_MS = 30_000;
const EXTEND_MS = 10_000;
const RETRY_MS = 250;

export interface SharedLockOptions {
  readonly db: Kysely<Database>;
  /** Identity of this server among those that share the database. */
  readonly owner: string;
  readonly clock: Clock;
  /** The database did not answer in the background; the lease may run out. */
  readonly onError: (error: unknown) => void;
}

export interface SharedClusterLocks extends ClusterLocks {
  /** Resolves when every lock that was released is free for other servers. */
  close(): Promise<void>;
}

/**
 * One writer per cluster among all servers that share a database: a lease row per cluster, behind the queue within this server. A server
 * that stalls for longer than the lease loses it together with its requests' leases, and then `effect()` refuses to act.
 */
export function createSharedClusterLocks(options: SharedLockOptions): SharedClusterLocks {
  const { db, owner, clock, onError } = options;
  const local = createClusterLocks();
  const held = new Set<string>();
  const background = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;

  const inBackground = (work: Promise<void>): void => {
    const task: Promise<void> = work.catch(onError).finally(() => background.delete(task));
    background.add(task);
  };
  const extend = (): void => inBackground(extendClusterLocks(db, owner, clock.now() + LOCK_LEASE_MS));
  const keep = (name: string): void => {
    held.add(name);
    timer ??= setInterval(extend, EXTEND_MS).unref();
  };
  const letGo = (name: string): void => {
    held.delete(name);
    if (held.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  /** Undefined when it is ours now; else the request that has it. */
  const take = async (name: string, requestId: string): Promise<string | undefined> => {
    const now = clock.now();
    const lock = { name, holder: requestId, owner, expires_at: now + LOCK_LEASE_MS };
    const row = await takeClusterLock(db, lock, now);
    // Nobody's at the second look: it became free in between, and the next try gets it.
    if (row === undefined) return "";
    return row.owner === owner ? undefined : row.holder;
  };
  const releaseOf = (name: string, releaseLocal: () => void): (() => void) => {
    let isReleased = false;
    keep(name);
    return () => {
      if (isReleased) return;
      isReleased = true;
      letGo(name);
      // A lock that cannot be deleted runs out; within this server the next one may take it at once.
      inBackground(dropClusterLock(db, name, owner).finally(releaseLocal));
    };
  };

  return {
    findHolder: async (name) =>
      (await local.findHolder(name)) ?? (await findClusterLock(db, name, clock.now()))?.holder,
    acquire: async (name, requestId, wait = {}) => {
      const releaseLocal = await local.acquire(name, requestId, wait);
      try {
        let isTold = false;
        for (;;) {
          const holder = await take(name, requestId);
          if (holder === undefined) return releaseOf(name, releaseLocal);
          if (!isTold && holder !== "") wait.onBlocked?.(holder);
          isTold ||= holder !== "";
          await clock.sleep(RETRY_MS, wait.signal === undefined ? {} : { signal: wait.signal });
        }
      } catch (error) {
        releaseLocal();
        throw error;
      }
    },
    tryAcquire: async (name, requestId) => {
      const releaseLocal = await local.tryAcquire(name, requestId);
      if (releaseLocal === undefined) return undefined;
      const holder = await take(name, requestId).catch((error: unknown) => {
        releaseLocal();
        throw error;
      });
      if (holder === undefined) return releaseOf(name, releaseLocal);
      releaseLocal();
      return undefined;
    },
    close: async () => {
      clearInterval(timer);
      await Promise.all(background);
    },
  };
}
