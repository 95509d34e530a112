import { randomUUID } from "node:crypto";
import type { Kysely } from "kysely";
import {
  deleteStorage,
  findLeftStorage,
  listLeftStorage,
  updateStorage,
  type StorageRow,
} from "../../db/queries/storage.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { StorageBucketDeleteError } from "../../shared/errors.ts";
import { ownCloudContext } from "../clusters/refresh-all.ts";
import type { ClusterLocks } from "../operation.ts";
import type { StoreRegistry, StoreType } from "../ports/object-store.ts";
import { bucketLockName } from "./bucket-lock.ts";
import { requireUnkept, requireUnused } from "./claim.ts";
import { serverOf } from "./handle.ts";
import { deleteBucketOf } from "./remove.ts";

/** How often the server looks for buckets whose cluster has taken itself down. */
export const LEFT_STORAGE_EVERY_MS = 15_000;
/** A bucket that could not be removed is tried again after this time: keys and rights seldom change by themselves. */
const RETRY_MS = 3_600_000;

export interface LeftStorageOptions {
  readonly db: Kysely<Database>;
  readonly stores: StoreRegistry;
  readonly locks: ClusterLocks;
  readonly clock: Clock;
  /** The server's own config, without any client's. */
  readonly config: () => Promise<Readonly<Record<string, unknown>>>;
  readonly onRemoved: (bucket: string) => void;
  readonly onError: (bucket: string, error: unknown) => void;
}

/**
 * Removes buckets that were to go with a cluster (`persistent: false`) which took itself down. The server does it with its own login. Buckets of
 * clusters that were lost stay (`refresh.ts`).
 */
export class LeftStorage {
  readonly #options: LeftStorageOptions;
  /** By bucket: when it may be tried again. */
  readonly #retryAt = new Map<string, number>();
  /** A lock passes to whoever has its holder's name, so each server has its own. */
  readonly #name = `left-storage ${randomUUID()}`;

  constructor(options: LeftStorageOptions) {
    this.#options = options;
  }

  /** Looks once. A bucket that cannot be removed is told, and the others go on. */
  async remove(signal: AbortSignal): Promise<void> {
    const { db, clock, onError } = this.#options;
    for (const row of await listLeftStorage(db)) {
      if (signal.aborted) return;
      if (clock.now() < (this.#retryAt.get(row.name) ?? 0)) continue;
      try {
        await this.#removeAlone(row.name, signal);
        this.#retryAt.delete(row.name);
      } catch (error) {
        if (signal.aborted) return;
        this.#retryAt.set(row.name, clock.now() + RETRY_MS);
        onError(row.name, error);
      }
    }
  }

  /** Whoever holds the bucket at the moment may be about to claim it, so its row is read again. */
  async #removeAlone(name: string, signal: AbortSignal): Promise<void> {
    const { db, locks } = this.#options;
    const release = await locks.tryAcquire(bucketLockName(name), this.#name);
    if (release === undefined) return;
    try {
      const row = await findLeftStorage(db, name);
      if (row !== undefined) await this.#removeLeft(row, signal);
    } finally {
      release();
    }
  }

  async #removeLeft(row: StorageRow, signal: AbortSignal): Promise<void> {
    const { db, stores, locks, config, onRemoved } = this.#options;
    // Nobody is there to see which bucket an older release meant.
    if (serverOf(row) === undefined || (await isRefused(requireUnused(row, { db })))) return;
    if (await isRefused(requireUnkept(row, row.cluster_hash ?? "", { db }))) {
      await updateStorage(db, row.name, { cluster_hash: null });
      return;
    }
    const store = await stores.load(row.store as StoreType);
    const as = ownCloudContext(row, { config: await config(), signal });
    await deleteBucketOf(row, { store, as }, { locks });
    await deleteStorage(db, row);
    onRemoved(row.name);
  }
}

async function isRefused(asking: Promise<void>): Promise<boolean> {
  try {
    await asking;
    return false;
  } catch (error) {
    if (error instanceof StorageBucketDeleteError) return true;
    throw error;
  }
}
