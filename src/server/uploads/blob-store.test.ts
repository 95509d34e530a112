import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeZip } from "../../../test/fakes/make-zip.ts";
import { blobDirectory, BlobStore, collectBlobs } from "./blob-store.ts";

const blob = { userId: "u1", blobId: "ab".repeat(32) };
const zip = makeZip([{ name: "home/f.txt", content: "hello" }]);

let directory: string;
let store: BlobStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "blobs-"));
  store = new BlobStore({ ...places(), maxBytes: 10_000 });
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function places(): { blobs: string; uploads: string } {
  return { blobs: join(directory, "blobs"), uploads: join(directory, "uploads") };
}

function body(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([Uint8Array.from(bytes)]).stream();
}

function put(bytes: Uint8Array, index = 0, total = 1): ReturnType<BlobStore["putChunk"]> {
  return store.putChunk(blob, { index, total, body: body(bytes) });
}

test("one chunk makes a blob; its repetition is content at once", async () => {
  expect(await store.has(blob)).toBe(false);
  expect(await put(zip)).toEqual({ status: "completed", missing_chunks: null });
  expect(readFileSync(join(blobDirectory(places().blobs, blob), "home/f.txt"), "utf8")).toBe("hello");
  expect(await store.has(blob)).toBe(true);
  expect(await put(Buffer.from("something else"))).toMatchObject({ status: "completed" });
  expect(readdirSync(join(places().uploads, "u1"))).toEqual([]);
});

test("chunks come in any order, at the same time and twice", async () => {
  const parts = [zip.subarray(0, 20), zip.subarray(20, 50), zip.subarray(50)];
  expect(await put(parts[2] ?? zip, 2, 3)).toEqual({ status: "uploading", missing_chunks: ["part0", "part1"] });
  expect(await put(parts[2] ?? zip, 2, 3)).toMatchObject({ status: "uploading" });
  const results = await Promise.all([put(parts[0] ?? zip, 0, 3), put(parts[1] ?? zip, 1, 3)]);
  expect(results.map((result) => result.status)).toContain("completed");
  expect(await store.has(blob)).toBe(true);
});

test("a bad zip is refused and leaves nothing, so that the next try begins anew", async () => {
  await expect(put(Buffer.from("no zip"))).rejects.toMatchObject({ status: 400 });
  expect(existsSync(join(places().uploads, "u1", blob.blobId))).toBe(false);
  expect(existsSync(places().blobs)).toBe(false);
  expect(await put(zip)).toMatchObject({ status: "completed" });
});

test("more bytes than allowed are refused, over all chunks, and told early", async () => {
  await put(Buffer.alloc(6000), 0, 3);
  await expect(put(Buffer.alloc(6000), 1, 3)).rejects.toMatchObject({
    status: 413,
    hint: expect.stringContaining(".skyignore"),
  });
  await expect(store.assertRoom(10_001)).rejects.toMatchObject({ status: 413 });
  const huge = new BlobStore({ ...places(), maxBytes: Number.MAX_SAFE_INTEGER });
  await expect(huge.assertRoom(2 ** 52)).rejects.toMatchObject({ status: 507 });
});

test("a client that goes away in the middle is told to try again, and its part does not count", async () => {
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(zip.subarray(0, 10));
      controller.error(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
    },
  });
  await expect(store.putChunk(blob, { index: 0, total: 2, body: broken })).rejects.toMatchObject({
    status: 400,
    message: "Client disconnected, please try again.",
  });
  expect(readdirSync(join(places().uploads, "u1", blob.blobId))).toEqual([]);
});

test("old blobs go, young ones and those in use stay", async () => {
  await put(zip);
  const other = { ...blob, blobId: "cd".repeat(32) };
  await store.putChunk(other, { index: 0, total: 1, body: body(zip) });
  const old = new Date(1000);
  for (const one of [blob, other]) utimesSync(blobDirectory(places().blobs, one), old, old);
  const inUse = new Set([other.blobId]);
  expect(await collectBlobs({ ...places(), inUse, now: 2_000_000, maxAgeMs: 60_000 })).toBe(1);
  expect(await store.has(blob)).toBe(false);
  expect(await store.has(other)).toBe(true);
  expect(await collectBlobs({ ...places(), inUse: new Set(), now: Date.now(), maxAgeMs: 60_000 })).toBe(0);
});
