import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UnfinishedUploads, type UnfinishedUpload, type UploadMemory } from "./unfinished-uploads.ts";

const URL_OF_A = "https://b.s3.eu-west-1.amazonaws.com/a";
const UPLOAD = { id: "one", size: 9, mtimeMs: 1.5, hasChecksums: true };

let directory: string;
let uploads: UnfinishedUploads;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "unfinished-")), "folder");
  uploads = new UnfinishedUploads(directory);
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true }));

function using<T>(work: (memory: UploadMemory) => T, url = URL_OF_A): Promise<T> {
  return uploads.with(url, (memory) => Promise.resolve(work(memory)));
}

const recall = (memory: UploadMemory): UnfinishedUpload | undefined => memory.recall();

test("an upload is known to the next server until it is forgotten, by its object alone, to this user alone", async () => {
  expect(await using(recall)).toBeUndefined();
  await using((memory) => memory.keep(UPLOAD));
  uploads = new UnfinishedUploads(directory);
  expect(await using(recall)).toEqual(UPLOAD);
  expect(await using(recall, `${URL_OF_A}b`)).toBeUndefined();
  const [name = "", ...others] = readdirSync(directory);
  expect([others, name.includes("amazonaws"), statSync(directory).mode & 0o777]).toEqual([[], false, 0o700]);
  expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  await using((memory) => memory.forget());
  expect(await using(recall)).toBeUndefined();
  expect(readdirSync(directory)).toEqual([]);
});

test("who comes while it is under way knows nothing of it, and changes nothing", async () => {
  await using((memory) => memory.keep(UPLOAD));
  await uploads.with(URL_OF_A, async (first) => {
    expect(
      await using((second) => {
        second.keep({ ...UPLOAD, id: "two" });
        const seen = second.recall();
        expect([first.isKept, second.isKept]).toEqual([true, false]);
        second.forget();
        return seen;
      }),
    ).toBeUndefined();
    expect(first.recall()).toEqual(UPLOAD);
  });
  await expect(using(() => Promise.reject(new Error("cut")))).rejects.toThrow("cut");
  expect(await using(recall)).toEqual(UPLOAD);
});

test("what nobody came back for is removed in time", async () => {
  await using((memory) => memory.keep(UPLOAD));
  const [old = ""] = readdirSync(directory);
  const monthAgo = Date.now() / 1000 - 31 * 86_400;
  utimesSync(join(directory, old), monthAgo, monthAgo);
  await using((memory) => memory.keep(UPLOAD), "http://other/a");
  expect(readdirSync(directory)).toHaveLength(1);
  expect(await using(recall)).toBeUndefined();
});

test.each(["", "{", "null", '{"id":1}'])("a file with %j in it names no upload", async (content) => {
  await using((memory) => memory.keep(UPLOAD));
  writeFileSync(join(directory, readdirSync(directory)[0] ?? ""), content);
  expect(await using(recall)).toBeUndefined();
});
