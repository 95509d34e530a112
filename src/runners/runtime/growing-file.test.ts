import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encode, encodeFile } from "./codec.ts";
import { GrowingFile, readWhole } from "./growing-file.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "growing-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += Buffer.from(chunk).toString();
  return text;
}

test("readers follow a file that is being written, whenever they come", async () => {
  const path = join(directory, "file");
  const file = new GrowingFile(path);
  const first = textOf(file.read());
  await file.append(Buffer.from("one "));
  const second = textOf(file.read());
  await file.append(Buffer.from("two"));
  expect(readdirSync(directory)).toEqual([`file.${process.pid}.tmp`]);
  file.finish();
  const third = textOf(file.read());
  expect(await Promise.all([first, second, third, textOf(readWhole(path))])).toEqual(Array(4).fill("one two"));
  expect(readdirSync(directory)).toEqual(["file"]);
});

test("readers of a file that cannot be completed hear why, and nothing of it is left", async () => {
  const file = new GrowingFile(join(directory, "file"));
  const reading = textOf(file.read());
  await file.append(Buffer.from("one"));
  file.fail(new Error("The disk is full."));
  await expect(reading).rejects.toThrow("The disk is full.");
  expect(readdirSync(directory)).toEqual([]);
});

test("what is encoded in parts is decoded as one", async () => {
  const path = join(directory, "big");
  const content = Buffer.alloc(9_000_001, "What is repeated can be made small. ");
  writeFileSync(path, content);
  const parts: Uint8Array[] = [await encode(Buffer.from("before "), "gzip")];
  for await (const part of encodeFile(path, "gzip")) parts.push(Buffer.from(part));
  expect(parts.length).toBe(6);
  const encoded = join(directory, "big.gz");
  writeFileSync(encoded, Buffer.concat(parts));
  expect(readFileSync(encoded).length).toBeLessThan(content.length / 10);
  const decoded = execFileSync("gzip", ["-dc", encoded], { maxBuffer: 1 << 24 });
  expect(decoded.equals(Buffer.concat([Buffer.from("before "), content]))).toBe(true);
});
