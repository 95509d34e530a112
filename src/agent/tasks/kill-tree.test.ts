import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../shared/clock.ts";
import { readProcess } from "../node/proc.ts";
import { findTree, killTree } from "./kill-tree.ts";

async function startTree(script: string): Promise<{ marker: string; pid: number }> {
  const value = randomUUID();
  const child = spawn("/bin/bash", ["-c", script], {
    detached: true,
    env: { PATH: process.env["PATH"] ?? "", SKY_TEST_MARK: value },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { marker: `SKY_TEST_MARK=${value}`, pid: child.pid ?? 0 };
}
const kill = (marker: string, graceMs: number): Promise<void> =>
  killTree({ marker, roots: () => [], graceMs, clock: systemClock });
const isGone = (pid: number): boolean => [undefined, "Z"].includes(readProcess(pid)?.state);

test("finds and ends children that left the session, without touching others", async () => {
  const other = await startTree("echo up; sleep 100");
  const { marker, pid } = await startTree("(setsid sleep 100 &); sleep 100 & echo up; wait");
  expect(findTree(marker, new Set()).length).toBeGreaterThanOrEqual(3);
  await kill(marker, 2000);
  expect(findTree(marker, new Set())).toEqual([]);
  expect(isGone(pid)).toBe(true);
  expect(isGone(other.pid)).toBe(false);
  await kill(other.marker, 0);
});

test("a program that handles TERM gets it once and may finish; one that ignores it is killed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kill-tree-"));
  const note = `echo TERM >>${directory}/got; sleep 0.3; echo done >>${directory}/got; exit 0`;
  const polite = await startTree(`trap '${note}' TERM; echo up; while :; do sleep 0.05; done`);
  // Longer than the test may take: it is not waited for longer than the program needs.
  await kill(polite.marker, 600_000);
  expect(readFileSync(join(directory, "got"), "utf8")).toBe("TERM\ndone\n");
  rmSync(directory, { recursive: true });
  const stubborn = await startTree("trap '' TERM; echo up; while :; do sleep 0.05; done");
  await kill(stubborn.marker, 200);
  expect(isGone(stubborn.pid)).toBe(true);
});
