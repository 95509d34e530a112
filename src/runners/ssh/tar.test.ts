import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeTar, type TarEntry } from "./tar.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tar-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function collect(entries: readonly TarEntry[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeTar(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("tar reads what it writes", async () => {
  const big = Buffer.alloc(1_000_003, "big");
  writeFileSync(join(directory, "source"), big);
  const archive = await collect([
    { name: "empty", mode: 0o600, size: 0, content: Buffer.alloc(0) },
    { name: "exact", mode: 0o644, size: 512, content: Buffer.alloc(512, "e") },
    { name: "big", mode: 0o755, size: big.length, content: join(directory, "source") },
  ]);
  execFileSync("tar", ["-xof", "-"], { cwd: directory, input: archive });
  expect(statSync(join(directory, "empty")).size).toBe(0);
  expect(readFileSync(join(directory, "exact"), "utf8")).toBe("e".repeat(512));
  expect(readFileSync(join(directory, "big")).equals(big)).toBe(true);
  expect(statSync(join(directory, "big")).mode & 0o111).not.toBe(0);
});

test("a file that is not as long as it was said is an error", async () => {
  const entry = { name: "a", mode: 0o600, size: 3, content: Buffer.from("ab") };
  await expect(collect([entry])).rejects.toThrow("a has 2 bytes instead of 3.");
});
