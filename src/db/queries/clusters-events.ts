import type { Insertable, Kysely, Selectable } from "kysely";
import type { ClusterEventsTable, Database } from "../schema.ts";

export type ClusterEventRow = Selectable<ClusterEventsTable>;
export type NewClusterEvent = Insertable<ClusterEventsTable>;
export type ClusterEventType = ClusterEventsTable["type"];

/** Adds an event; one that repeats the cluster's last event of its type (after a restart, say) is dropped. */
export async function insertClusterEvent(db: Kysely<Database>, event: NewClusterEvent): Promise<void> {
  const last = await db
    .selectFrom("cluster_events")
    .select(["reason", "ending_status"])
    .where("cluster_hash", "=", event.cluster_hash)
    .where("type", "=", event.type)
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (last?.reason === event.reason && last.ending_status === (event.ending_status ?? null)) return;
  await db.insertInto("cluster_events").values(event).execute();
}

/** Oldest first; with a limit the newest ones. */
export async function listClusterEvents(
  db: Kysely<Database>,
  clusterHash: string,
  filter: { readonly types: readonly ClusterEventType[]; readonly limit?: number },
): Promise<ClusterEventRow[]> {
  let query = db
    .selectFrom("cluster_events")
    .selectAll()
    .where("cluster_hash", "=", clusterHash)
    .where("type", "in", [...filter.types])
    .orderBy("id", "desc");
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  return (await query.execute()).reverse();
}
