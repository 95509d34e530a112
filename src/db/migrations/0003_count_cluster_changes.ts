import { sql } from "kysely";
import type { Migration } from "../migrate.ts";

/** Whoever keeps something made of the clusters sees in one row whether it still holds, whoever wrote. */
export const countClusterChanges: Migration = {
  name: "0003_count_cluster_changes",
  async up(db, kind) {
    await db.schema
      .createTable("table_versions")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("version", "bigint", (column) => column.notNull())
      .execute();
    await sql`insert into table_versions (name, version) values ('clusters', 0)`.execute(db);
    if (kind === "sqlite") {
      for (const event of ["insert", "update", "delete"]) {
        await sql`create trigger ${sql.raw(`clusters_${event}_counted`)} after ${sql.raw(event)} on clusters begin
          update table_versions set version = version + 1 where name = 'clusters'; end`.execute(db);
      }
      return;
    }
    await sql`create function count_cluster_change() returns trigger language plpgsql as $$ begin
      update table_versions set version = version + 1 where name = 'clusters'; return null; end $$`.execute(db);
    await sql`create trigger clusters_counted after insert or update or delete on clusters
      for each statement execute function count_cluster_change()`.execute(db);
  },
};
