import type { Migration } from "../migrate.ts";

/** What a cluster may still have mounted at a place where a launch wants something else, whose end nobody has seen. */
export const keepReplacedMounts: Migration = {
  name: "0012_keep_replaced_mounts",
  async up(db) {
    await db.schema.alterTable("cluster_mounts").addColumn("replaces", "text").execute();
  },
};
