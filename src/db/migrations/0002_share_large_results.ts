import type { Migration } from "../migrate.ts";

/** A dashboard asks for the same large list all day: equal results are stored once. */
export const shareLargeResults: Migration = {
  name: "0002_share_large_results",
  async up(db) {
    await db.schema
      .createTable("request_values")
      .addColumn("hash", "text", (column) => column.primaryKey())
      .addColumn("value", "text", (column) => column.notNull())
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.alterTable("requests").addColumn("return_hash", "text").execute();
  },
};
