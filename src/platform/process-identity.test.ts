import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isAlive, isSameProcess, processStartTime } from "./process-identity.ts";

test("a process is itself, and not another that started at another time", () => {
  const start = processStartTime(process.pid);
  expect(start).toBeGreaterThan(0);
  expect(isSameProcess(process.pid, start)).toBe(true);
  expect(isSameProcess(process.pid, (start ?? 0) + 1)).toBe(false);
  expect(isSameProcess(process.pid, undefined)).toBe(true);
});

test("a process that ended and waits for its parent is gone", async () => {
  // The shell becomes a program that never asks for its children, so the first child stays a zombie.
  const parent = spawn("/bin/sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = (await once(parent.stdout.setEncoding("utf8"), "data")) as [string];
  const pid = Number(line.trim());
  await expect.poll(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")).toBe(true);
  expect(isAlive(pid)).toBe(true);
  expect(isSameProcess(pid, processStartTime(pid))).toBe(false);
  parent.kill("SIGKILL");
  await once(parent, "exit");
});
