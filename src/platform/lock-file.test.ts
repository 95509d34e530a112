import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { acquireFileLock } from "./lock-file.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "lock-file-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test("a lock is exclusive, private, and free again after its release", () => {
  const path = join(directory, "deep", "server.lock");
  const lock = acquireFileLock(path);
  expect(lock).toBeDefined();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(acquireFileLock(path)).toBeUndefined();
  lock?.release();
  const again = acquireFileLock(path);
  expect(again).toBeDefined();
  again?.release();
});

test("a process that is killed loses its lock", async () => {
  const path = join(directory, "server.lock");
  const script = `
    const { acquireFileLock } = await import(${JSON.stringify(new URL("lock-file.ts", import.meta.url).href)});
    process.stdout.write(acquireFileLock(${JSON.stringify(path)}) === undefined ? "busy" : "held");
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output] = (await once(child.stdout, "data")) as [Buffer];
  expect(output.toString()).toBe("held");
  expect(acquireFileLock(path)).toBeUndefined();
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = acquireFileLock(path);
  expect(lock).toBeDefined();
  lock?.release();
});
