import { sql, type CreateTableBuilder, type Kysely } from "kysely";
import type { DatabaseKind } from "../database.ts";
import type { Migration } from "../migrate.ts";

export const initial: Migration = {
  name: "0001_initial",
  async up(db, kind) {
    await createRequests(db);
    await createEffects(db);
    await createClusters(db);
    await createClusterHistory(db);
    await createClusterEvents(db, kind);
    await createUsers(db);
  },
};

async function createRequests(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("requests")
    .addColumn("request_id", "text", (column) => column.primaryKey())
    .addColumn("operation", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("schedule_type", "text", (column) => column.notNull())
    .addColumn("user_id", "text", (column) => column.notNull())
    .addColumn("user_name", "text", (column) => column.notNull())
    .addColumn("cluster_name", "text")
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("sealed_body", "text")
    .addColumn("return_value", "text")
    .addColumn("error", "text")
    .addColumn("status_msg", "text")
    .addColumn("should_retry", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("file_mounts_blob_id", "text")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("finished_at", "bigint")
    .addColumn("lease_owner", "text")
    .addColumn("lease_token", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("lease_expires_at", "bigint")
    .addColumn("cancel_requested", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("attempts", "integer", (column) => column.notNull().defaultTo(0))
    .execute();
  await db.schema.createIndex("requests_created_at").on("requests").column("created_at").execute();
  // Active rows are few among many finished ones.
  await sql`create index requests_active on requests (schedule_type, created_at)
    where status in ('PENDING', 'WAITING', 'RUNNING')`.execute(db);
}

async function createEffects(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("effects")
    .addColumn("request_id", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("token", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("result", "text")
    .addColumn("started_at", "bigint", (column) => column.notNull())
    .addColumn("finished_at", "bigint")
    .addPrimaryKeyConstraint("effects_key", ["request_id", "name"])
    .execute();
}

function withOwner<T extends string, C extends string>(table: CreateTableBuilder<T, C>) {
  return table
    .addColumn("user_hash", "text", (column) => column.notNull())
    .addColumn("user_name", "text", (column) => column.notNull())
    .addColumn("workspace", "text", (column) => column.notNull())
    .addColumn("last_creation_yaml", "text")
    .addColumn("last_creation_command", "text")
    .addColumn("provision_log_path", "text")
    .addColumn("is_managed", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("price_usd_per_hour", "double precision")
    .addColumn("launched_at", "bigint", (column) => column.notNull());
}

function withPlace<T extends string, C extends string>(table: CreateTableBuilder<T, C>) {
  return table
    .addColumn("cloud", "text", (column) => column.notNull())
    .addColumn("region", "text", (column) => column.notNull())
    .addColumn("zone", "text")
    .addColumn("num_nodes", "integer", (column) => column.notNull())
    .addColumn("offer", "text", (column) => column.notNull())
    .addColumn("requested_resources", "text", (column) => column.notNull());
}

async function createClusters(db: Kysely<unknown>): Promise<void> {
  await withPlace(withOwner(db.schema.createTable("clusters")))
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("cluster_hash", "text", (column) => column.notNull())
    .addColumn("name_on_cloud", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("phase", "text", (column) => column.notNull())
    .addColumn("per_node", "text", (column) => column.notNull())
    .addColumn("instances", "text", (column) => column.notNull())
    .addColumn("ports", "text", (column) => column.notNull())
    .addColumn("labels", "text", (column) => column.notNull())
    .addColumn("last_use", "text")
    .addColumn("status_updated_at", "bigint", (column) => column.notNull())
    .addColumn("autostop", "integer", (column) => column.notNull().defaultTo(-1))
    .addColumn("to_down", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("wait_for", "text", (column) => column.notNull())
    .addColumn("owner", "text")
    .addColumn("cluster_ever_up", "integer", (column) => column.notNull().defaultTo(0))
    .addColumn("config_hash", "text")
    .addColumn("last_event", "text")
    .addColumn("secret_path", "text")
    .addColumn("busy_request", "text")
    .execute();
}

async function createClusterHistory(db: Kysely<unknown>): Promise<void> {
  await withPlace(withOwner(db.schema.createTable("cluster_history")))
    .addColumn("cluster_hash", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("usage_intervals", "text", (column) => column.notNull())
    .addColumn("last_activity_time", "bigint")
    .execute();
  await db.schema.createIndex("cluster_history_launched_at").on("cluster_history").column("launched_at").execute();
}

async function createClusterEvents(db: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  await db.schema
    .createTable("cluster_events")
    .addColumn("id", kind === "sqlite" ? "integer" : "bigserial", (column) =>
      kind === "sqlite" ? column.primaryKey().autoIncrement() : column.primaryKey(),
    )
    .addColumn("cluster_hash", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("starting_status", "text")
    .addColumn("ending_status", "text")
    .addColumn("reason", "text", (column) => column.notNull())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("transitioned_at", "bigint", (column) => column.notNull())
    .addColumn("request_id", "text")
    .execute();
  await db.schema
    .createIndex("cluster_events_cluster")
    .on("cluster_events")
    .columns(["cluster_hash", "transitioned_at"])
    .execute();
}

async function createUsers(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("users")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("preferred_workspace", "text")
    .execute();
  await db.schema
    .createTable("system_config")
    .addColumn("config_key", "text", (column) => column.primaryKey())
    .addColumn("config_value", "text", (column) => column.notNull())
    .addColumn("updated_at", "bigint", (column) => column.notNull())
    .execute();
}
