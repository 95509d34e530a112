import { sql } from "kysely";
import type { Migration } from "../migrate.ts";

/** What clusters cost, in periods with constant rates, and the budgets that limit it. */
export const chargeClusters: Migration = {
  name: "0006_charge_clusters",
  async up(db, kind) {
    await db.schema
      .createTable("cluster_charges")
      .addColumn("id", kind === "sqlite" ? "integer" : "bigserial", (column) =>
        kind === "sqlite" ? column.primaryKey().autoIncrement() : column.primaryKey(),
      )
      .addColumn("cluster_hash", "text", (column) => column.notNull())
      .addColumn("state", "text", (column) => column.notNull())
      .addColumn("started_at", "bigint", (column) => column.notNull())
      .addColumn("ended_at", "bigint")
      .addColumn("instances_usd_per_hour", "double precision")
      .addColumn("disks_usd_per_hour", "double precision")
      .addColumn("ips_usd_per_hour", "double precision")
      .execute();
    await db.schema
      .createIndex("cluster_charges_of_cluster")
      .on("cluster_charges")
      .columns(["cluster_hash", "ended_at"])
      .execute();
    // A cluster has one period that goes on, whoever writes at the same moment.
    await sql`create unique index cluster_charges_open on cluster_charges (cluster_hash) where ended_at is null`.execute(
      db,
    );
    await db.schema.createIndex("cluster_charges_ended_at").on("cluster_charges").column("ended_at").execute();
    await db.schema
      .alterTable("cluster_history")
      .addColumn("labels", "text", (column) => column.notNull().defaultTo("{}"))
      .execute();
    await db.schema
      .createTable("budgets")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("scope", "text", (column) => column.notNull())
      .addColumn("scope_value", "text", (column) => column.notNull())
      .addColumn("limit_usd", "double precision", (column) => column.notNull())
      .addColumn("period", "text", (column) => column.notNull())
      .addColumn("action", "text", (column) => column.notNull())
      .addColumn("created_by", "text", (column) => column.notNull())
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .addColumn("reached_at", "bigint")
      .execute();
  },
};
