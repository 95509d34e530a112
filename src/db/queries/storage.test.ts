import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import type { OpenDatabase } from "../database.ts";
import {
  deleteStorage,
  findLeftStorage,
  findStorage,
  insertStorage,
  listLeftStorage,
  listStorage,
  type StorageRow,
} from "./storage.ts";

const ROW: StorageRow = {
  name: "b",
  store: "S3",
  region: "us-east-1",
  status: "READY",
  launched_at: 1000,
  last_use: "sky launch",
  handle: "{}",
  user_hash: "u1",
  workspace: "default",
  cluster_hash: null,
};

describe.each(databaseKinds)("rows of buckets on %s", (kind) => {
  let database: OpenDatabase;

  beforeEach(async () => {
    database = await openTestDatabase(kind);
  }, POSTGRES_START_MS);
  afterEach(() => database.close());

  test("a bucket that is made anew while its row is being removed keeps its row", async () => {
    const { db } = database;
    await insertStorage(db, ROW);
    const read = await findStorage(db, "b");
    expect(read).toEqual(ROW);
    const anew: StorageRow = { ...ROW, launched_at: 2000, status: "INIT", user_hash: "u2", cluster_hash: "c2" };
    await insertStorage(db, anew);
    await deleteStorage(db, ROW);
    expect(await findStorage(db, "b")).toEqual(anew);
    await deleteStorage(db, anew);
    expect(await findStorage(db, "b")).toBeUndefined();
  });

  test("buckets are listed as they were made", async () => {
    const { db } = database;
    const made = [
      ["second", 2000],
      ["first", 1000],
      ["third", 3000],
      ["also-second", 2000],
    ] as const;
    for (const [name, launched_at] of made) await insertStorage(db, { ...ROW, name, launched_at });
    expect((await listStorage(db)).map(({ name }) => name)).toEqual(["first", "also-second", "second", "third"]);
  });

  test("a bucket is left when it was to go with a cluster that is not there", async () => {
    const { db } = database;
    await insertStorage(db, { ...ROW, name: "kept" });
    const left: StorageRow = { ...ROW, name: "left", cluster_hash: "gone" };
    await insertStorage(db, left);
    expect(await listLeftStorage(db)).toEqual([left]);
    expect(await findLeftStorage(db, "left")).toEqual(left);
    expect(await findLeftStorage(db, "kept")).toBeUndefined();
  });
});
