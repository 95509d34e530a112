import type { Migration } from "../migrate.ts";

/** Buckets that the nodes of a cluster have mounted: for these, and no others, they get keys. */
export const addClusterMounts: Migration = {
  name: "0010_add_cluster_mounts",
  async up(db) {
    await db.schema
      .createTable("cluster_mounts")
      .addColumn("cluster_hash", "text", (column) => column.notNull())
      .addColumn("dest", "text", (column) => column.notNull())
      .addColumn("store", "text", (column) => column.notNull())
      .addColumn("spec", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("cluster_mounts_key", ["cluster_hash", "dest"])
      .execute();
  },
};
