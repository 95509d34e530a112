import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TAR_END, tarFile, tarHeader, tarPadding } from "./tar.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tar-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("tar reads what it writes", () => {
  const big = Buffer.alloc(1_000_003, "big");
  const archive = Buffer.concat([
    tarFile("empty", 0o600, Buffer.alloc(0)),
    tarFile("exact", 0o644, Buffer.alloc(512, "e")),
    tarHeader({ name: "big", mode: 0o755, size: big.length }),
    big,
    tarPadding(big.length),
    TAR_END,
  ]);
  execFileSync("tar", ["-xof", "-"], { cwd: directory, input: archive });
  expect(statSync(join(directory, "empty")).size).toBe(0);
  expect(readFileSync(join(directory, "exact"), "utf8")).toBe("e".repeat(512));
  expect(readFileSync(join(directory, "big")).equals(big)).toBe(true);
  expect(statSync(join(directory, "big")).mode & 0o111).not.toBe(0);
});
