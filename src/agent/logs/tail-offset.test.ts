import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findTailOffset } from "./tail-offset.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tail-offset-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function tailOf(text: string, tail: number): Promise<string> {
  const path = join(directory, "run.log");
  writeFileSync(path, text);
  return text.slice(await findTailOffset(path, tail));
}

const MARKER = "├── Waiting for task resources on 1 node.\n";

test("lines before the marker are hidden, unless the tail is shorter or the marker is far down", async () => {
  const path = join(directory, "ascii.log");
  const marker = "Waiting for task resources on 1 node.\n";
  writeFileSync(path, `hidden\n${marker}a\nb\n`);
  expect(await findTailOffset(path, 0)).toBe(7);
  expect(await findTailOffset(path, 2)).toBe(7 + marker.length);
  expect(await findTailOffset(path, 100)).toBe(7);
  writeFileSync(path, `${"x\n".repeat(30)}${marker}`);
  expect(await findTailOffset(path, 0)).toBe(0);
  expect(await findTailOffset(join(directory, "missing"), 5)).toBe(0);
  expect(await tailOf(MARKER, 1)).toBe(MARKER);
});

test("the last lines are the last lines, across blocks", async () => {
  const lines = fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(lines, fc.integer({ min: 1, max: 14 }), fc.boolean(), async (lengths, tail, isEnded) => {
      const all = lengths.map((length) => "x".repeat(length));
      const text = all.join("\n") + (isEnded && all.length > 0 ? "\n" : "");
      const body = text.endsWith("\n") ? text.slice(0, -1) : text;
      const expected = body.split("\n").slice(-tail).join("\n") + text.slice(body.length);
      expect(await tailOf(text, tail)).toBe(expected);
    }),
    { numRuns: 60 },
  );
});
