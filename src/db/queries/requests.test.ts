import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import type { OpenDatabase } from "../database.ts";
import {
  claimRequest,
  deleteFinishedBefore,
  dropForeignLeases,
  extendLeases,
  findClaimable,
  findLatestRequest,
  findRequest,
  findRequestsByPrefix,
  finishRequest,
  insertRequest,
  listActiveBlobIds,
  listActiveOnCluster,
  listActiveRequestIds,
  listRequests,
  markCancelled,
  releaseRequest,
  setRequestWaiting,
  type NewRequest,
  type RequestOutcome,
} from "./requests.ts";
import { recordIntent } from "./effects.ts";

function newRequest(id: string, fields: Partial<NewRequest> = {}): NewRequest {
  return {
    request_id: id,
    operation: "clusters.launch",
    name: "sky.launch",
    status: "PENDING",
    schedule_type: "long",
    user_id: "u1",
    user_name: "ann",
    cluster_name: "c1",
    body: "{}",
    sealed_body: "sealed",
    return_value: null,
    error: null,
    status_msg: null,
    file_mounts_blob_id: null,
    created_at: 1000,
    finished_at: null,
    lease_owner: null,
    lease_token: 0,
    lease_expires_at: null,
    cancel_requested: 0,
    attempts: 0,
    ...fields,
  };
}

const success: RequestOutcome = {
  status: "SUCCEEDED",
  return_value: "1",
  error: null,
  should_retry: 0,
  status_msg: null,
  finished_at: 2000,
};

describe.each(databaseKinds)("requests on %s", (kind) => {
  let database: OpenDatabase;
  beforeEach(async () => {
    database = await openTestDatabase(kind);
  }, POSTGRES_START_MS);
  afterEach(() => database.close());

  test("an id is stored once", async () => {
    const { db } = database;
    expect(await insertRequest(db, newRequest("a"))).toBe(true);
    expect(await insertRequest(db, newRequest("a", { user_id: "u2" }))).toBe(false);
    expect(await findRequest(db, "a")).toMatchObject({ user_id: "u1", should_retry: 0, created_at: 1000 });
  });

  test("a prefix finds up to two, of one user if asked, and is no pattern", async () => {
    const { db } = database;
    for (const id of ["abc-1", "abc-2", "xyz-1"]) await insertRequest(db, newRequest(id));
    await insertRequest(db, newRequest("xyz-2", { user_id: "u2" }));
    const ids = async (prefix: string, userId?: string): Promise<string[]> =>
      (await findRequestsByPrefix(db, prefix, userId === undefined ? {} : { userId })).map((row) => row.request_id);
    expect(await ids("abc")).toEqual(["abc-1", "abc-2"]);
    expect(await ids("abc-2")).toEqual(["abc-2"]);
    expect(await ids("xyz", "u2")).toEqual(["xyz-2"]);
    expect(await ids("%")).toEqual([]);
    expect(await ids("a_c")).toEqual([]);
  });

  test("of two claims only one wins, and only the winner may end the request", async () => {
    const { db } = database;
    await insertRequest(db, newRequest("a"));
    const claim = { seenToken: 0, expiresAt: 5000 };
    const [one, two] = await Promise.all([
      claimRequest(db, "a", { ...claim, owner: "s1" }),
      claimRequest(db, "a", { ...claim, owner: "s2" }),
    ]);
    expect([one, two].filter((row) => row !== undefined)).toHaveLength(1);
    expect(one ?? two).toMatchObject({ status: "RUNNING", lease_token: 1, attempts: 1 });
    expect(await finishRequest(db, "a", { leaseToken: 0, outcome: success })).toBe(false);
    expect(await finishRequest(db, "a", { leaseToken: 1, outcome: success })).toBe(true);
    const row = await findRequest(db, "a");
    expect(row).toMatchObject({ status: "SUCCEEDED", return_value: "1", sealed_body: null, lease_owner: null });
    expect(await finishRequest(db, "a", { leaseToken: 1, outcome: success })).toBe(false);
  });

  test("what may be taken up: unheld or expired, of the schedule, oldest first", async () => {
    const { db } = database;
    await insertRequest(db, newRequest("young", { created_at: 3000 }));
    await insertRequest(db, newRequest("old", { created_at: 1000 }));
    await insertRequest(db, newRequest("short", { schedule_type: "short" }));
    await insertRequest(db, newRequest("held", { status: "RUNNING", lease_owner: "s1", lease_expires_at: 9000 }));
    await insertRequest(
      db,
      newRequest("dead", { status: "RUNNING", lease_owner: "s2", lease_expires_at: 10, created_at: 2000 }),
    );
    await insertRequest(db, newRequest("forever", { status: "RUNNING", lease_owner: "s3" }));
    await insertRequest(db, newRequest("over", { status: "FAILED" }));
    const found = await findClaimable(db, "long", { now: 5000, limit: 10 });
    expect(found.map((row) => row.request_id)).toEqual(["old", "dead", "young"]);
    expect(await findClaimable(db, "long", { now: 5000, limit: 1 })).toHaveLength(1);
    await dropForeignLeases(db, "s1");
    const after = await findClaimable(db, "long", { now: 5000, limit: 10 });
    expect(after.map((row) => row.request_id).toSorted()).toEqual(["dead", "forever", "old", "young"]);
  });

  test("leases are extended for their owner, who learns of cancellations", async () => {
    const { db } = database;
    await insertRequest(db, newRequest("a", { status: "RUNNING", lease_owner: "s1", lease_expires_at: 10 }));
    await insertRequest(db, newRequest("b", { status: "RUNNING", lease_owner: "s2", lease_expires_at: 10 }));
    expect(await markCancelled(db, ["a", "b", "none"])).toHaveLength(2);
    expect(await extendLeases(db, "s1", { expiresAt: 99 })).toEqual([{ request_id: "a", cancel_requested: 1 }]);
    expect(await findRequest(db, "a")).toMatchObject({ lease_expires_at: 99 });
    expect(await findRequest(db, "b")).toMatchObject({ lease_expires_at: 10 });
    expect(await markCancelled(db, [])).toEqual([]);
  });

  test("waiting, giving back and listing", async () => {
    const { db } = database;
    await insertRequest(db, newRequest("a", { status: "RUNNING", lease_owner: "s1", lease_token: 3 }));
    await setRequestWaiting(db, "a", { leaseToken: 3, message: "no capacity" });
    expect(await findRequest(db, "a")).toMatchObject({ status: "WAITING", status_msg: "no capacity" });
    await setRequestWaiting(db, "a", { leaseToken: 2, message: null });
    expect(await findRequest(db, "a")).toMatchObject({ status: "WAITING" });
    expect(await listActiveOnCluster(db, "c1")).toEqual(["a"]);
    await releaseRequest(db, "a", { leaseToken: 3 });
    expect(await findRequest(db, "a")).toMatchObject({ status: "PENDING", lease_owner: null });
    await insertRequest(
      db,
      newRequest("b", { status: "SUCCEEDED", created_at: 5000, user_id: "u2", cluster_name: "c2" }),
    );
    const ids = async (filter: Parameters<typeof listRequests>[1]): Promise<string[]> =>
      (await listRequests(db, filter)).map((row) => row.request_id);
    expect(await ids({})).toEqual(["b", "a"]);
    expect(await ids({ isActiveOnly: true })).toEqual(["a"]);
    expect(await ids({ limit: 1 })).toEqual(["b"]);
    expect(await ids({ userId: "u2" })).toEqual(["b"]);
    expect(await ids({ clusterName: "c1" })).toEqual(["a"]);
    expect(await ids({ requestIds: ["a", "none"] })).toEqual(["a"]);
    expect(Object.keys((await listRequests(db, {}))[0] ?? {})).not.toContain("sealed_body");
    expect((await findLatestRequest(db))?.request_id).toBe("b");
    expect((await findLatestRequest(db, { userId: "u1" }))?.request_id).toBe("a");
    expect(await listActiveRequestIds(db, { userId: "u2" })).toEqual([]);
    expect(await listActiveRequestIds(db)).toEqual(["a"]);
  });

  test("old requests go with their journal; active ones and the blobs they need stay", async () => {
    const { db } = database;
    await insertRequest(db, newRequest("active", { file_mounts_blob_id: "blob", created_at: 1, lease_token: 1 }));
    await insertRequest(db, newRequest("over", { status: "SUCCEEDED", finished_at: 100, lease_token: 1 }));
    await insertRequest(db, newRequest("young", { status: "FAILED", finished_at: 900 }));
    for (const requestId of ["active", "over"]) {
      await recordIntent(db, { requestId, name: "e", token: "t", startedAt: 1 }, { leaseToken: 1 });
    }
    expect(await listActiveBlobIds(db)).toEqual(["blob"]);
    expect(await deleteFinishedBefore(db, 500, { limit: 10 })).toEqual(["over"]);
    expect(await deleteFinishedBefore(db, 500, { limit: 10 })).toEqual([]);
    const left = await db.selectFrom("effects").select("request_id").execute();
    expect(left).toEqual([{ request_id: "active" }]);
    expect((await listRequests(db, {})).map((row) => row.request_id).toSorted()).toEqual(["active", "young"]);
  });
});
