import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase, type OpenDatabase } from "../../db/database.ts";
import { saveClusterMount } from "../../db/queries/cluster-mounts.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { Cluster } from "../clusters/cluster.ts";
import type { StorageSpec } from "../task/task.ts";
import { findStandingMounts, keepOutOfMounts, refuseCopiesInto, type StandingMounts } from "./standing-mounts.ts";

const STANDING: StandingMounts = {
  clusterName: "c",
  homes: [undefined, "/home/me", "/root"],
  mounts: [
    { dest: "~/m", uri: "s3://one" },
    { dest: "data/", uri: "s3://two/models" },
    { dest: "/mnt/x", uri: "r2://three" },
  ],
};

function refusalOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe("copies of a task", () => {
  const storage = (mode: StorageSpec["mode"]): StorageSpec => ({ mode }) as StorageSpec;

  it.each([
    ["~/m", "~/m is a place where s3://one is mounted since an earlier launch"],
    ["~/n/../m/a", "~/n/../m/a lies inside of ~/m, where s3://one is mounted since an earlier launch"],
    ["/home/me/m/a", "/home/me/m/a lies inside of ~/m, where"],
    ["/root/m", "/root/m is a place where s3://one"],
    ["./data/train", "./data/train lies inside of data/, where s3://two/models"],
    ["~/sky_workdir/data", "~/sky_workdir/data is a place where s3://two/models"],
    ["/mnt//x/y", "/mnt//x/y lies inside of /mnt/x, where r2://three"],
    ["~/.sky/file_mounts/mnt/x/y", "~/.sky/file_mounts/mnt/x/y lies inside of /mnt/x, where r2://three"],
    ["~/mm", undefined],
    ["~", undefined],
    ["/home/you/m", undefined],
    ["/mnt", undefined],
  ])("to %s", (dest, message) => {
    const copying = [
      { fileMounts: { [dest]: "./data" }, storageMounts: {} },
      { fileMounts: {}, storageMounts: { [dest]: storage("COPY") } },
    ];
    for (const task of copying) {
      const refusal = refusalOf(() => refuseCopiesInto(STANDING, { workdir: undefined, ...task }));
      if (message === undefined) expect(refusal).toBeUndefined();
      else expect(refusal).toContain(message);
    }
    const mounting = { workdir: undefined, fileMounts: {}, storageMounts: { [dest]: storage("MOUNT_CACHED") } };
    expect(refusalOf(() => refuseCopiesInto(STANDING, mounting))).toBeUndefined();
  });

  it("a workdir where a bucket is", () => {
    const mounts = [{ dest: "~/sky_workdir", uri: "s3://one" }];
    const workdir = { kind: "dir", path: "." } as const;
    const task = { workdir, fileMounts: {}, storageMounts: {} };
    expect(refusalOf(() => refuseCopiesInto({ ...STANDING, mounts }, task))).toContain(
      "~/sky_workdir is a place where",
    );
    expect(refusalOf(() => refuseCopiesInto(STANDING, task))).toBeUndefined();
  });
});

describe("what is in a tree that is copied", () => {
  it("is looked at where a mount is below it alone", () => {
    expect(keepOutOfMounts("~/other", STANDING)).toBeUndefined();
    expect(keepOutOfMounts("~/m", STANDING)).toBeUndefined();
    expect(keepOutOfMounts("~/sky_workdir", STANDING)).toBeDefined();
    expect(keepOutOfMounts("/home/me", STANDING)).toBeDefined();
  });

  it("goes to nodes but for the place of the mount, and is refused in it", () => {
    const admits = keepOutOfMounts("~/sky_workdir", STANDING);
    expect(admits?.({ path: "data", kind: "dir" })).toBe(false);
    expect(admits?.({ path: "database", kind: "dir" })).toBe(true);
    expect(admits?.({ path: "src/data/x", kind: "file" })).toBe(true);
    for (const entry of [
      { path: "data", kind: "link" },
      { path: "data", kind: "file" },
      { path: "data/x", kind: "dir" },
    ] as const) {
      expect(() => admits?.(entry)).toThrow(
        `~/sky_workdir/${entry.path} would be copied into data/, where s3://two/models is mounted since an earlier launch`,
      );
    }
  });
});

describe("mounts of a cluster", () => {
  let database: OpenDatabase;

  beforeEach(async () => {
    database = await openDatabase({ sqlite: ":memory:" });
  });
  afterEach(() => database.close());

  const { signal } = new AbortController();

  function find(there: readonly string[], offer: object = {}): Promise<StandingMounts> {
    const row = { name: "c", cluster_hash: "hash" };
    const cluster = { row, offer, instances: [{ home: "/home/me" }, { home: "/home/me" }] } as unknown as Cluster;
    const states = { mounts: there.map((dest) => ({ dest, state: "failed" })) };
    const agent = { call: () => Promise.resolve(states) } as unknown as AgentPeer;
    return findStandingMounts(cluster, agent, { db: database.db, signal });
  }

  it("are those that agents know of, with the bucket from the row", async () => {
    expect(await find(["~/m"])).toEqual({ clusterName: "c", homes: [undefined, "/home/me"], mounts: [] });
    for (const dest of ["~/m", "~/never"]) {
      const spec = JSON.stringify({ dest, bucket: "one", prefix: "a", scheme: "r2" });
      await saveClusterMount(database.db, { cluster_hash: "hash", dest, store: "R2", spec, replaces: null });
    }
    expect((await find(["~/m"])).mounts).toEqual([{ dest: "~/m", uri: "r2://one/a" }]);
    expect((await find(["~/m"], { container: "docker:ubuntu" })).homes).toEqual([undefined]);
  });
});
