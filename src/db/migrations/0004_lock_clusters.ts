import type { Migration } from "../migrate.ts";

/** Who works on a cluster, for servers that share a database. */
export const lockClusters: Migration = {
  name: "0004_lock_clusters",
  async up(db) {
    await db.schema
      .createTable("cluster_locks")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("holder", "text", (column) => column.notNull())
      .addColumn("owner", "text", (column) => column.notNull())
      .addColumn("expires_at", "bigint", (column) => column.notNull())
      .execute();
  },
};
