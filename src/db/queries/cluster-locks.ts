import type { Kysely, Selectable } from "kysely";
import type { ClusterLocksTable, Database } from "../schema.ts";

export type ClusterLockRow = Selectable<ClusterLocksTable>;

/**
 * Takes the lock of a cluster, or finds who has it: the row in either case. Ours is taken over where its lease has expired, and where the
 * same server or the same request (which this server then has taken over) holds it.
 */
export async function takeClusterLock(
  db: Kysely<Database>,
  lock: ClusterLockRow,
  now: number,
): Promise<ClusterLockRow | undefined> {
  const taken = await db
    .insertInto("cluster_locks")
    .values(lock)
    .onConflict((conflict) =>
      conflict
        .column("name")
        .doUpdateSet({ holder: lock.holder, owner: lock.owner, expires_at: lock.expires_at })
        .where((expression) =>
          expression.or([
            expression("cluster_locks.expires_at", "<", now),
            expression("cluster_locks.owner", "=", lock.owner),
            expression("cluster_locks.holder", "=", lock.holder),
          ]),
        ),
    )
    .returningAll()
    .executeTakeFirst();
  return taken ?? findClusterLock(db, lock.name, now);
}

/** The lock's row, unless its lease has expired. */
export async function findClusterLock(
  db: Kysely<Database>,
  name: string,
  now: number,
): Promise<ClusterLockRow | undefined> {
  return db
    .selectFrom("cluster_locks")
    .selectAll()
    .where("name", "=", name)
    .where("expires_at", ">=", now)
    .executeTakeFirst();
}

export async function extendClusterLocks(db: Kysely<Database>, owner: string, expiresAt: number): Promise<void> {
  await db.updateTable("cluster_locks").set({ expires_at: expiresAt }).where("owner", "=", owner).execute();
}

export async function dropClusterLock(db: Kysely<Database>, name: string, owner: string): Promise<void> {
  await db.deleteFrom("cluster_locks").where("name", "=", name).where("owner", "=", owner).execute();
}
