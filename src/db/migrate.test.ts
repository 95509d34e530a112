import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { databaseKinds, openBarePostgres, openTestDatabase, POSTGRES_START_MS } from "../../test/fakes/databases.ts";
import { LATEST_MIGRATION } from "./latest-migration.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/list.ts";
import type { Database } from "./schema.ts";

type Column = "text" | "number" | "text?" | "number?";

/** The row types as data: the compiler checks it against schema.ts, the test below against the migrated tables. */
const rows = {
  requests: {
    request_id: "text",
    operation: "text",
    name: "text",
    status: "text",
    schedule_type: "text",
    user_id: "text",
    user_name: "text",
    cluster_name: "text?",
    body: "text",
    sealed_body: "text?",
    return_value: "text?",
    return_hash: "text?",
    error: "text?",
    status_msg: "text?",
    should_retry: "number",
    file_mounts_blob_id: "text?",
    created_at: "number",
    finished_at: "number?",
    lease_owner: "text?",
    lease_token: "number",
    lease_expires_at: "number?",
    cancel_requested: "number",
    attempts: "number",
  },
  request_values: { hash: "text", value: "text", created_at: "number" },
  table_versions: { name: "text", version: "number" },
  cluster_locks: { name: "text", holder: "text", owner: "text", expires_at: "number" },
  refusals: {
    place: "text",
    cloud: "text",
    account: "text",
    region: "text",
    block: "text",
    code: "text",
    reason: "text",
    request_id: "text",
    refused_at: "number",
    expires_at: "number",
  },
  effects: {
    request_id: "text",
    name: "text",
    token: "text",
    state: "text",
    result: "text?",
    started_at: "number",
    finished_at: "number?",
  },
  clusters: {
    name: "text",
    cluster_hash: "text",
    name_on_cloud: "text",
    cloud: "text",
    region: "text",
    zone: "text?",
    status: "text",
    phase: "text",
    num_nodes: "number",
    offer: "text",
    per_node: "text",
    instances: "text",
    requested_resources: "text",
    ports: "text",
    labels: "text",
    launched_at: "number",
    last_use: "text?",
    status_updated_at: "number",
    autostop: "number",
    to_down: "number",
    wait_for: "text",
    owner: "text?",
    user_hash: "text",
    user_name: "text",
    workspace: "text",
    cluster_ever_up: "number",
    last_creation_yaml: "text?",
    last_creation_command: "text?",
    provision_log_path: "text?",
    is_managed: "number",
    config_hash: "text?",
    last_event: "text?",
    price_usd_per_hour: "number?",
    secret_path: "text?",
    busy_request: "text?",
    node_wish: "text",
  },
  cluster_history: {
    cluster_hash: "text",
    name: "text",
    num_nodes: "number",
    cloud: "text",
    region: "text",
    zone: "text?",
    offer: "text",
    requested_resources: "text",
    usage_intervals: "text",
    user_hash: "text",
    user_name: "text",
    workspace: "text",
    launched_at: "number",
    last_activity_time: "number?",
    last_creation_yaml: "text?",
    last_creation_command: "text?",
    provision_log_path: "text?",
    is_managed: "number",
    price_usd_per_hour: "number?",
    labels: "text",
  },
  cluster_charges: {
    id: "number",
    cluster_hash: "text",
    state: "text",
    started_at: "number",
    ended_at: "number?",
    instances_usd_per_hour: "number?",
    disks_usd_per_hour: "number?",
    ips_usd_per_hour: "number?",
  },
  budgets: {
    name: "text",
    scope: "text",
    scope_value: "text",
    limit_usd: "number",
    period: "text",
    action: "text",
    created_by: "text",
    created_at: "number",
    reached_at: "number?",
  },
  cluster_events: {
    id: "number",
    cluster_hash: "text",
    name: "text",
    starting_status: "text?",
    ending_status: "text?",
    reason: "text",
    type: "text",
    transitioned_at: "number",
    request_id: "text?",
  },
  users: { id: "text", name: "text", type: "text", created_at: "number", preferred_workspace: "text?" },
  storage: {
    name: "text",
    store: "text",
    region: "text",
    status: "text",
    launched_at: "number",
    last_use: "text?",
    handle: "text",
    user_hash: "text",
    workspace: "text",
    cluster_hash: "text?",
  },
  cluster_mounts: {
    cluster_hash: "text",
    dest: "text",
    store: "text",
    spec: "text",
    refused: "text?",
    replaces: "text?",
  },
  system_config: { config_key: "text", config_value: "text", updated_at: "number" },
} as const satisfies { readonly [T in keyof Database]: { readonly [C in keyof Database[T]]-?: Column } };

const PRIMARY_KEYS: Readonly<Record<string, readonly string[]>> = {
  requests: ["request_id"],
  request_values: ["hash"],
  table_versions: ["name"],
  cluster_locks: ["name"],
  refusals: ["place"],
  clusters: ["name"],
  cluster_history: ["cluster_hash"],
  cluster_charges: ["id"],
  budgets: ["name"],
  cluster_events: ["id"],
  users: ["id"],
  storage: ["name"],
  cluster_mounts: ["cluster_hash", "dest"],
  system_config: ["config_key"],
};

test("the newest migration is the last of the list, and names are in order", () => {
  const names = migrations.map((migration) => migration.name);
  expect(names.at(-1)).toBe(LATEST_MIGRATION);
  expect(names).toEqual(names.toSorted());
});

describe.each(databaseKinds)("on %s", { timeout: POSTGRES_START_MS }, (kind) => {
  test("the migrated tables have exactly the columns of the row types", async () => {
    const { db, close } = await openTestDatabase(kind);
    const tables = await db.introspection.getTables();
    const found = Object.fromEntries(
      tables
        .filter((table) => table.name !== "migrations" && !table.name.startsWith("sqlite_"))
        .map((table) => [
          table.name,
          Object.fromEntries(
            table.columns.map((column) => [
              column.name,
              `${/int|serial|double|float/i.test(column.dataType) ? "number" : "text"}${isNullable(column, table.name) ? "?" : ""}`,
            ]),
          ),
        ]),
    );
    expect(found).toEqual(rows);
    await close();
  });

  test("a second run changes nothing", async () => {
    const { db, close } = await openTestDatabase(kind);
    await migrate(db, kind);
    const { rows: applied } = await sql<{ name: string }>`select name from migrations order by name`.execute(db);
    expect(applied.map((row) => row.name)).toEqual(migrations.map((migration) => migration.name));
    await close();
  });

  test("a database of a newer release is refused", async () => {
    const { db, close } = await openTestDatabase(kind);
    await sql`insert into migrations (name, applied_at) values ('9999_future', 1)`.execute(db);
    await expect(migrate(db, kind)).rejects.toThrow("written by a newer release (schema 9999_future)");
    await close();
  });
});

/** SQLite allows null in a text primary key, and says so; the tables never have one. */
function isNullable(column: { readonly name: string; readonly isNullable: boolean }, table: string): boolean {
  return column.isNullable && PRIMARY_KEYS[table]?.includes(column.name) !== true;
}

test("two replicas that start at once apply each migration once", { timeout: POSTGRES_START_MS }, async () => {
  await openTestDatabase("postgres");
  const db = openBarePostgres();
  await sql`drop schema public cascade`.execute(db);
  await sql`create schema public`.execute(db);
  await Promise.all([migrate(db, "postgres"), migrate(openBarePostgres(), "postgres")]);
  const { rows: applied } = await sql<{ name: string }>`select name from migrations`.execute(db);
  expect(applied).toHaveLength(migrations.length);
});
