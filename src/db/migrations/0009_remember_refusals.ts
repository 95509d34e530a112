import type { Migration } from "../migrate.ts";

/** Places of clouds that have refused nodes a while ago, for every launch of the server. */
export const rememberRefusals: Migration = {
  name: "0009_remember_refusals",
  async up(db) {
    await db.schema
      .createTable("refusals")
      .addColumn("place", "text", (column) => column.primaryKey())
      .addColumn("cloud", "text", (column) => column.notNull())
      .addColumn("account", "text", (column) => column.notNull())
      .addColumn("region", "text", (column) => column.notNull())
      .addColumn("block", "text", (column) => column.notNull())
      .addColumn("code", "text", (column) => column.notNull())
      .addColumn("reason", "text", (column) => column.notNull())
      .addColumn("request_id", "text", (column) => column.notNull())
      .addColumn("refused_at", "bigint", (column) => column.notNull())
      .addColumn("expires_at", "bigint", (column) => column.notNull())
      .execute();
  },
};
