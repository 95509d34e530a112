import type { Migration } from "../migrate.ts";

/** What the task asked of each node besides its size, for nodes that are made later. */
export const addNodeWish: Migration = {
  name: "0007_add_node_wish",
  async up(db) {
    await db.schema
      .alterTable("clusters")
      .addColumn("node_wish", "text", (column) => column.notNull().defaultTo("{}"))
      .execute();
  },
};
