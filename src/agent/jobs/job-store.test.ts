import { expect, test } from "vitest";
import { JobStore, type JobSpec } from "./job-store.ts";

const spec = (key: string, fields: Partial<JobSpec> = {}): JobSpec => ({
  key,
  name: "hello",
  userHash: "abcd1234",
  userName: "ada",
  runTimestamp: "sky-2026-11-22-00-00-00-000000",
  numNodes: 1,
  demand: { accelerators: {} },
  resourcesText: "1x[CPU:1+]",
  metadata: {},
  gracePeriodSeconds: 10,
  ...fields,
});

test("a submission is answered with the same job when it is repeated", () => {
  const store = new JobStore(":memory:");
  const first = store.add(spec("k1"), 1_000_500);
  expect(first).toMatchObject({ isNew: true, job: { record: { jobId: 1, status: "PENDING", submittedAt: 1000.5 } } });
  expect(store.add(spec("k1"), 2_000_000)).toMatchObject({ isNew: false, job: { record: { jobId: 1 } } });
  expect(store.add(spec("k2"), 2_000_000).job.record.jobId).toBe(2);
  store.close();
});

test("the log directory is named by id and name, and stays one directory", () => {
  const store = new JobStore(":memory:");
  const dirOf = (key: string, name: string | null): string => store.add(spec(key, { name }), 0).job.record.logDir;
  expect(dirOf("a", "hello")).toBe("~/sky_logs/1-hello");
  expect(dirOf("b", null)).toBe("~/sky_logs/2-None");
  expect(dirOf("c", "../../etc")).toBe("~/sky_logs/3-.._.._etc");
  expect(Buffer.byteLength(dirOf("d", "ü".repeat(300)))).toBeLessThan(255);
  store.close();
});

test("a job moves only from the state it is in, and only along the table", () => {
  const store = new JobStore(":memory:");
  const { jobId } = store.add(spec("k1"), 0).job.record;
  const placement = { grants: [{ node: 0, cpus: 0.5, memoryGib: 0, devices: {} }], setupNodes: [0] };
  expect(store.move(jobId, { from: "PENDING", to: "RUNNING" }, { nowMs: 5000, placement })).toBe(true);
  expect(store.move(jobId, { from: "PENDING", to: "CANCELLED" }, { nowMs: 6000 })).toBe(false);
  expect(() => store.move(jobId, { from: "RUNNING", to: "SETTING_UP" }, { nowMs: 6000 })).toThrow("cannot go from");
  expect(store.find(jobId)).toMatchObject({ placement, record: { status: "RUNNING", startAt: 5, endAt: null } });
  expect(store.move(jobId, { from: "RUNNING", to: "FAILED" }, { nowMs: 7000, exitCodes: [0, 3] })).toBe(true);
  expect(store.find(jobId)?.record).toMatchObject({ status: "FAILED", endAt: 7, exitCodes: [0, 3] });
  store.close();
});

test("the queue is listed newest first, by user, by id, unfinished, limited", () => {
  const store = new JobStore(":memory:");
  for (const [key, userHash] of [
    ["a", "u1"],
    ["b", "u2"],
    ["c", "u1"],
  ] as const) {
    store.add(spec(key, { userHash }), 0);
  }
  store.move(1, { from: "PENDING", to: "CANCELLED" }, { nowMs: 0 });
  const ids = (params: Parameters<JobStore["list"]>[0]): number[] => store.list(params).map((job) => job.record.jobId);
  expect(ids({})).toEqual([3, 2, 1]);
  expect(ids({ userHash: "u1" })).toEqual([3, 1]);
  expect(ids({ userHash: "u1", skipFinished: true })).toEqual([3]);
  expect(ids({ jobIds: [1, 2, 99] })).toEqual([2, 1]);
  expect(ids({ limit: 1 })).toEqual([3]);
  expect(store.listUnfinished().map((job) => job.record.jobId)).toEqual([2, 3]);
  expect(store.findLatest()?.record.jobId).toBe(3);
  store.close();
});

test("answers to mutating requests are kept for repetitions", () => {
  const store = new JobStore(":memory:");
  expect(store.findReply("x")).toBeUndefined();
  store.saveReply("x", { jobIds: [1] }, 0);
  expect(store.findReply("x")).toEqual({ jobIds: [1] });
  store.saveReply("y", {}, 100_000_000);
  expect(store.findReply("x")).toBeUndefined();
  store.close();
});
