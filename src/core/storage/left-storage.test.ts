import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestDatabase } from "../../../test/fakes/databases.ts";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import type { OpenDatabase } from "../../db/database.ts";
import { insertCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import { confirmClusterMount, saveClusterMount } from "../../db/queries/cluster-mounts.ts";
import { insertRequest } from "../../db/queries/requests.ts";
import { findStorage, insertStorage, listStorage, type StorageRow } from "../../db/queries/storage.ts";
import { createClusterLocks } from "../clusters/lock.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { bucketLockName } from "./bucket-lock.ts";
import { noteUse } from "./claim.ts";
import { LeftStorage } from "./left-storage.ts";

const { signal } = new AbortController();

let database: OpenDatabase;
let clock: FakeClock;
let deleted: string[];
let failed: string[];
/** What the server's own login is for. */
let server: string | undefined;
let locks: ReturnType<typeof createClusterLocks>;
let left: LeftStorage;

beforeEach(async () => {
  database = await openTestDatabase("sqlite");
  clock = new FakeClock();
  [deleted, failed, server, locks] = [[], [], undefined, createClusterLocks()];
  const store = {
    cloud: "aws",
    server: () => Promise.resolve(server),
    deleteBucket: (bucket: string) => Promise.resolve(deleted.push(bucket) > 0 ? "deleted" : "gone"),
  } as Partial<ObjectStore> as ObjectStore;
  left = new LeftStorage({
    db: database.db,
    stores: { types: () => ["S3"], load: () => Promise.resolve(store) },
    locks,
    clock,
    config: () => Promise.resolve({}),
    onRemoved: () => undefined,
    onError: (bucket) => failed.push(bucket),
  });
});
afterEach(() => database.close());

async function addBucket(name: string, fields: Partial<StorageRow> = {}): Promise<void> {
  const row = { store: "S3", region: "us-east-1", status: "READY", launched_at: 1000, last_use: null } as const;
  const of = { user_hash: "u", workspace: "default", cluster_hash: "gone", handle: '{"endpoint": null}' };
  await insertStorage(database.db, { name, ...row, ...of, ...fields });
}

async function addRequest(id: string): Promise<void> {
  await insertRequest(database.db, {
    request_id: id,
    operation: "clusters.launch",
    name: "sky.launch",
    status: "RUNNING",
    schedule_type: "long",
    user_id: "u",
    user_name: "u",
    cluster_name: "guest",
    body: "{}",
    created_at: 0,
    lease_token: 0,
    cancel_requested: 0,
    attempts: 1,
  });
}

async function addCluster(name: string): Promise<void> {
  const texts = ["name_on_cloud", "cloud", "region", "offer", "per_node", "instances", "requested_resources"] as const;
  const more = ["ports", "labels", "wait_for", "user_hash", "user_name", "workspace"] as const;
  const empty = Object.fromEntries([...texts, ...more].map((column) => [column, "{}"]));
  const numbers = { num_nodes: 1, launched_at: 0, status_updated_at: 0, autostop: -1, to_down: 0 };
  const rest = { cluster_ever_up: 1, is_managed: 0, status: "UP", phase: "ready", node_wish: "{}" };
  await insertCluster(database.db, {
    name,
    cluster_hash: name,
    ...empty,
    ...numbers,
    ...rest,
  } as unknown as ClusterRow);
}

test("buckets of a cluster that is gone are removed, and no others", async () => {
  await addCluster("here");
  await addBucket("left");
  await addBucket("used", { cluster_hash: "here" });
  await addBucket("kept", { cluster_hash: null });
  await addBucket("old", { handle: "{}" });
  await left.remove(signal);
  expect(deleted).toEqual(["left"]);
  expect((await listStorage(database.db)).map(({ name }) => name)).toEqual(["kept", "old", "used"]);
});

test("a bucket that another cluster has mounted goes after that one", async () => {
  await addCluster("guest");
  await addBucket("left");
  const spec = JSON.stringify({ bucket: "left" });
  await saveClusterMount(database.db, { cluster_hash: "guest", dest: "~/x", store: "S3", spec, replaces: null });
  await left.remove(signal);
  expect(deleted).toEqual([]);
  await database.db.deleteFrom("clusters").execute();
  await left.remove(signal);
  expect(deleted).toEqual(["left"]);
});

test("a bucket goes after the launch that was about to bring it elsewhere, and after what that launch may have left mounted", async () => {
  await addCluster("guest");
  await addRequest("launch");
  await addBucket("left");
  const context = { db: database.db, requestId: "launch" };
  await noteUse({ bucket: "left", store: "S3" }, context);
  await noteUse({ bucket: "left", store: "R2" }, { ...context, requestId: "other" });
  await left.remove(signal);
  expect(deleted).toEqual([]);
  const spec = JSON.stringify({ bucket: "wanted" });
  const replaces = JSON.stringify([{ store: "S3", spec: { bucket: "left" } }]);
  const mount = { cluster_hash: "guest", dest: "~/x", store: "S3", spec, replaces };
  await saveClusterMount(database.db, mount);
  await database.db.updateTable("requests").set({ status: "CANCELLED" }).execute();
  await left.remove(signal);
  expect(deleted).toEqual([]);
  await confirmClusterMount(database.db, mount);
  await left.remove(signal);
  expect(deleted).toEqual(["left"]);
});

test("a bucket that the task of another cluster calls persistent stays for good", async () => {
  await addCluster("keeper");
  await addBucket("left", { handle: '{"endpoint": null, "kept_by": ["keeper"]}' });
  await left.remove(signal);
  await database.db.deleteFrom("clusters").execute();
  await left.remove(signal);
  expect(deleted).toEqual([]);
  expect(await findStorage(database.db, "left")).toMatchObject({ cluster_hash: null });
});

test("a bucket of another server is told once an hour, and left alone", async () => {
  server = "https://other";
  await addBucket("left");
  for (let minute = 0; minute < 61; minute++) {
    await left.remove(signal);
    clock.advance(60_000);
  }
  expect([deleted, failed]).toEqual([[], ["left", "left"]]);
});

test("a bucket that a launch is about to claim is left to it", async () => {
  await addBucket("left");
  const release = await locks.acquire(bucketLockName("left"), "launch");
  await left.remove(signal);
  expect(deleted).toEqual([]);
  release();
  await left.remove(signal);
  expect(deleted).toEqual(["left"]);
});
