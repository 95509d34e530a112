import type { CompiledQuery, Insertable, Kysely, Selectable, Updateable } from "kysely";
import type { Database, RequestsTable } from "../schema.ts";

export type RequestRow = Selectable<RequestsTable>;
export type NewRequest = Insertable<RequestsTable>;
export type RequestStatus = RequestsTable["status"];
export type ScheduleType = RequestsTable["schedule_type"];

const ACTIVE = ["PENDING", "WAITING", "RUNNING"] as const;

export function isTerminal(status: RequestStatus): boolean {
  return status === "SUCCEEDED" || status === "FAILED" || status === "CANCELLED";
}

/** Adds a request; false when the id is taken already (a repeated POST with the same idempotency key). */
export async function insertRequest(db: Kysely<Database>, row: NewRequest): Promise<boolean> {
  const result = await db
    .insertInto("requests")
    .values(row)
    .onConflict((conflict) => conflict.column("request_id").doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** The columns of a new request; every row of one statement has all of them. */
const COLUMNS = [
  "request_id",
  "operation",
  "name",
  "status",
  "schedule_type",
  "user_id",
  "user_name",
  "cluster_name",
  "body",
  "sealed_body",
  "return_value",
  "return_hash",
  "error",
  "status_msg",
  "should_retry",
  "file_mounts_blob_id",
  "created_at",
  "finished_at",
  "lease_owner",
  "lease_token",
  "lease_expires_at",
  "cancel_requested",
  "attempts",
] as const satisfies readonly (keyof NewRequest)[];

/** A list shows nothing of the sealed body, so it is never read for one. */
const LISTED = COLUMNS.filter((column) => column !== "sealed_body");

const compiledInserts = new WeakMap<Kysely<Database>, Map<number, CompiledQuery>>();

/** Adds requests with ids of our own in one statement. Building its text costs more than running it, so the text is kept. */
export async function insertRequests(db: Kysely<Database>, rows: readonly NewRequest[]): Promise<void> {
  const values = rows.map((row) => Object.fromEntries(COLUMNS.map((column) => [column, row[column] ?? null])));
  const compiled = compiledInserts.get(db) ?? new Map<number, CompiledQuery>();
  compiledInserts.set(db, compiled);
  const query =
    compiled.get(rows.length) ??
    db
      .insertInto("requests")
      .values(values as unknown as NewRequest[])
      .compile();
  compiled.set(rows.length, query);
  await db.executeQuery({ ...query, parameters: values.flatMap((row) => COLUMNS.map((column) => row[column])) });
}

export async function findRequest(db: Kysely<Database>, requestId: string): Promise<RequestRow | undefined> {
  return db.selectFrom("requests").selectAll().where("request_id", "=", requestId).executeTakeFirst();
}

/** Up to two requests whose id begins with `prefix`, so that the caller can tell unique from ambiguous. */
export async function findRequestsByPrefix(
  db: Kysely<Database>,
  prefix: string,
  options: { readonly userId?: string } = {},
): Promise<RequestRow[]> {
  // The ids are our own (hex, dash, letters), so no LIKE pattern can hide in a valid prefix.
  if (!/^[A-Za-z0-9-]+$/.test(prefix)) return [];
  let query = db.selectFrom("requests").selectAll().where("request_id", "like", `${prefix}%`).limit(2);
  if (options.userId !== undefined) query = query.where("user_id", "=", options.userId);
  return query.execute();
}

/**
 * Takes a request for execution: status RUNNING, a new lease token. Undefined when somebody else holds or finished it, or
 * when it was taken since the caller looked.
 */
export async function claimRequest(
  db: Kysely<Database>,
  requestId: string,
  claim: { readonly owner: string; readonly seenToken: number; readonly expiresAt: number | null },
): Promise<RequestRow | undefined> {
  return db
    .updateTable("requests")
    .set((expression) => ({
      status: "RUNNING",
      lease_owner: claim.owner,
      lease_token: expression("lease_token", "+", 1),
      lease_expires_at: claim.expiresAt,
      attempts: expression("attempts", "+", 1),
    }))
    .where("request_id", "=", requestId)
    .where("lease_token", "=", claim.seenToken)
    .where("status", "in", ACTIVE)
    .returningAll()
    .executeTakeFirst();
}

/** Keeps the leases of `owner` alive. Returns the ids whose lease it still holds. */
export async function extendLeases(
  db: Kysely<Database>,
  owner: string,
  options: { readonly expiresAt: number | null },
): Promise<{ request_id: string; cancel_requested: number }[]> {
  return db
    .updateTable("requests")
    .set({ lease_expires_at: options.expiresAt })
    .where("lease_owner", "=", owner)
    .where("status", "in", ACTIVE)
    .returning(["request_id", "cancel_requested"])
    .execute();
}

export type RequestOutcome = Pick<
  Updateable<RequestsTable>,
  "return_value" | "return_hash" | "error" | "should_retry" | "status_msg"
> & {
  readonly status: "SUCCEEDED" | "FAILED" | "CANCELLED";
  readonly finished_at: number;
};

/** Ends a request. False when the lease has passed to somebody else: then nothing was written. */
export async function finishRequest(
  db: Kysely<Database>,
  requestId: string,
  options: { readonly leaseToken: number; readonly outcome: RequestOutcome },
): Promise<boolean> {
  const result = await db
    .updateTable("requests")
    .set({ ...options.outcome, sealed_body: null, lease_owner: null, lease_expires_at: null })
    .where("request_id", "=", requestId)
    .where("lease_token", "=", options.leaseToken)
    .where("status", "in", ACTIVE)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Parks a running request (WAITING with a text), or ends the wait with a null text. */
export async function setRequestWaiting(
  db: Kysely<Database>,
  requestId: string,
  options: { readonly leaseToken: number; readonly message: string | null },
): Promise<void> {
  await db
    .updateTable("requests")
    .set({ status: options.message === null ? "RUNNING" : "WAITING", status_msg: options.message })
    .where("request_id", "=", requestId)
    .where("lease_token", "=", options.leaseToken)
    .where("status", "in", ACTIVE)
    .execute();
}

/** Active requests on a cluster. */
export async function listActiveOnCluster(db: Kysely<Database>, clusterName: string): Promise<string[]> {
  const rows = await db
    .selectFrom("requests")
    .select("request_id")
    .where("cluster_name", "=", clusterName)
    .where("status", "in", ACTIVE)
    .execute();
  return rows.map((row) => row.request_id);
}

/** Ids of active requests, of one user or of all. */
export async function listActiveRequestIds(
  db: Kysely<Database>,
  options: { readonly userId?: string } = {},
): Promise<string[]> {
  let query = db.selectFrom("requests").select("request_id").where("status", "in", ACTIVE).orderBy("created_at");
  if (options.userId !== undefined) query = query.where("user_id", "=", options.userId);
  return (await query.execute()).map((row) => row.request_id);
}

/** Those of some requests that are not over. */
export async function listActiveAmong(
  db: Kysely<Database>,
  ids: readonly string[],
): Promise<Pick<RequestRow, "request_id" | "cluster_name">[]> {
  if (ids.length === 0) return [];
  return db
    .selectFrom("requests")
    .select(["request_id", "cluster_name"])
    .where("request_id", "in", ids)
    .where("status", "in", ACTIVE)
    .orderBy("created_at")
    .execute();
}

/** Gives a running request back to the queue, to be taken up at the next start. */
export async function releaseRequest(
  db: Kysely<Database>,
  requestId: string,
  options: { readonly leaseToken: number },
): Promise<void> {
  await db
    .updateTable("requests")
    .set({ status: "PENDING", lease_owner: null, lease_expires_at: null })
    .where("request_id", "=", requestId)
    .where("lease_token", "=", options.leaseToken)
    .where("status", "in", ACTIVE)
    .execute();
}

/** Asks for cancellation. Returns the ids of those that were still active. */
export async function markCancelled(db: Kysely<Database>, requestIds: readonly string[]): Promise<string[]> {
  if (requestIds.length === 0) return [];
  const rows = await db
    .updateTable("requests")
    .set({ cancel_requested: 1 })
    .where("request_id", "in", [...requestIds])
    .where("status", "in", ACTIVE)
    .returning("request_id")
    .execute();
  return rows.map((row) => row.request_id);
}

/** Oldest requests that nobody holds: never started, given back, or with an expired lease. */
export async function findClaimable(
  db: Kysely<Database>,
  schedule: ScheduleType,
  options: { readonly now: number; readonly limit: number },
): Promise<{ request_id: string; lease_token: number }[]> {
  return db
    .selectFrom("requests")
    .select(["request_id", "lease_token"])
    .where("schedule_type", "=", schedule)
    .where("status", "in", ACTIVE)
    .where((expression) =>
      expression.or([expression("lease_owner", "is", null), expression("lease_expires_at", "<", options.now)]),
    )
    .orderBy("created_at")
    .limit(options.limit)
    .execute();
}

/**
 * Ends every lease that is not `owner`'s, with `home` only those of servers on that data directory. Only right when none of them can be
 * alive, which the data directory's lock proves.
 */
export async function dropForeignLeases(
  db: Kysely<Database>,
  owner: string,
  options: { readonly home?: string } = {},
): Promise<void> {
  let query = db
    .updateTable("requests")
    .set({ lease_owner: null, lease_expires_at: null })
    .where("status", "in", ACTIVE)
    .where("lease_owner", "is not", null)
    .where("lease_owner", "!=", owner);
  // Host names have no sign that is special in LIKE but `_`, which then stands for itself and at worst for one more.
  if (options.home !== undefined) query = query.where("lease_owner", "like", `${options.home}/%`);
  await query.execute();
}

export interface RequestFilter {
  readonly requestIds?: readonly string[];
  readonly isActiveOnly?: boolean;
  readonly userId?: string;
  readonly clusterName?: string;
  readonly limit?: number;
}

/** Requests, newest first. The sealed body is never read. */
export async function listRequests(
  db: Kysely<Database>,
  filter: RequestFilter,
): Promise<Omit<RequestRow, "sealed_body">[]> {
  let query = db.selectFrom("requests").select(LISTED).orderBy("created_at", "desc").orderBy("request_id");
  if (filter.requestIds !== undefined) query = query.where("request_id", "in", [...filter.requestIds]);
  if (filter.isActiveOnly === true) query = query.where("status", "in", ACTIVE);
  if (filter.userId !== undefined) query = query.where("user_id", "=", filter.userId);
  if (filter.clusterName !== undefined) query = query.where("cluster_name", "=", filter.clusterName);
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  return query.execute();
}

/** Newest request of all; what `/api/stream` without an id shows. */
export async function findLatestRequest(
  db: Kysely<Database>,
  options: { readonly userId?: string } = {},
): Promise<RequestRow | undefined> {
  let query = db.selectFrom("requests").selectAll().orderBy("created_at", "desc").limit(1);
  if (options.userId !== undefined) query = query.where("user_id", "=", options.userId);
  return query.executeTakeFirst();
}

/** Deletes requests that ended before `before`, with their journals. Returns their ids. */
export async function deleteFinishedBefore(
  db: Kysely<Database>,
  before: number,
  options: { readonly limit: number },
): Promise<string[]> {
  return db.transaction().execute(async (transaction) => {
    const rows = await transaction
      .selectFrom("requests")
      .select("request_id")
      .where("finished_at", "<", before)
      .where("status", "not in", ACTIVE)
      .limit(options.limit)
      .execute();
    const ids = rows.map((row) => row.request_id);
    if (ids.length === 0) return [];
    await transaction.deleteFrom("effects").where("request_id", "in", ids).execute();
    await transaction.deleteFrom("requests").where("request_id", "in", ids).execute();
    return ids;
  });
}

/** Blobs that a request which has not ended still needs. */
export async function listActiveBlobIds(db: Kysely<Database>): Promise<string[]> {
  const rows = await db
    .selectFrom("requests")
    .select("file_mounts_blob_id")
    .distinct()
    .where("status", "in", ACTIVE)
    .where("file_mounts_blob_id", "is not", null)
    .execute();
  return rows.flatMap((row) => (row.file_mounts_blob_id === null ? [] : [row.file_mounts_blob_id]));
}
