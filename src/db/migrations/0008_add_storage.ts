import type { Migration } from "../migrate.ts";

/** Buckets that the product made, or is making. */
export const addStorage: Migration = {
  name: "0008_add_storage",
  async up(db) {
    await db.schema
      .createTable("storage")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("store", "text", (column) => column.notNull())
      .addColumn("region", "text", (column) => column.notNull())
      .addColumn("status", "text", (column) => column.notNull())
      .addColumn("launched_at", "bigint", (column) => column.notNull())
      .addColumn("last_use", "text")
      .addColumn("handle", "text", (column) => column.notNull())
      .addColumn("user_hash", "text", (column) => column.notNull())
      .addColumn("workspace", "text", (column) => column.notNull())
      .addColumn("cluster_hash", "text")
      .execute();
  },
};
