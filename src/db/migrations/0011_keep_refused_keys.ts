import type { Migration } from "../migrate.ts";

/** Why the keys of a mount cannot be renewed: true until they are, whatever else happens to the cluster. */
export const keepRefusedKeys: Migration = {
  name: "0011_keep_refused_keys",
  async up(db) {
    await db.schema.alterTable("cluster_mounts").addColumn("refused", "text").execute();
  },
};
