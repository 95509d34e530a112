import { expect, test } from "vitest";
import { hasInEnvironment, ignoresSignal, listProcesses, readBootId, readOpenFilesLimit, readProcess } from "./proc.ts";

test("finds this process, its parent and its command", () => {
  const own = readProcess(process.pid);
  expect(own).toMatchObject({ pid: process.pid, parent: process.ppid, state: "R" });
  expect(listProcesses().map((entry) => entry.pid)).toContain(process.pid);
  expect(readProcess(2 ** 22 + 1)).toBeUndefined();
});

test("reads environments and signal masks; what is gone has none", () => {
  expect(hasInEnvironment(process.pid, `PATH=${process.env["PATH"] ?? ""}`)).toBe(true);
  expect(hasInEnvironment(process.pid, "PATH=")).toBe(false);
  expect(hasInEnvironment(2 ** 22 + 1, "PATH=")).toBe(false);
  // Node ignores SIGPIPE (13), and not SIGTERM (15).
  expect(ignoresSignal(process.pid, 13)).toBe(true);
  expect(ignoresSignal(process.pid, 15)).toBe(false);
});

test("knows the boot and the limit of open files", () => {
  expect(readBootId()).toMatch(/^[0-9a-f-]{36}$/);
  expect(readOpenFilesLimit()).toBeGreaterThan(8);
});
