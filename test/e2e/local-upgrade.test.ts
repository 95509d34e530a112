import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createLocalRig, type LocalRig } from "./support/local-rig.ts";
import { waitFor } from "./support/wait-for.ts";

/** Prints numbered lines of bytes that are no text, and notes each time that it is begun. */
const COUNTING = String.raw`echo begun >> ~/begun; for i in $(seq 1 40); do printf 'line %s \xff\x00\n' $i; sleep 0.1; done`;

let rig: LocalRig;

beforeEach(async () => {
  rig = await createLocalRig();
});

afterEach(() => rig.close());

function pidOf(index: number): string {
  return readFileSync(join(rig.nodeDirectory(index), "agent", "agent.pid"), "utf8");
}

function begunOn(index: number): string {
  try {
    return readFileSync(join(rig.nodeDirectory(index), "home", "begun"), "utf8");
  } catch {
    // Not yet.
    return "";
  }
}

async function bundles(): Promise<readonly (string | undefined)[]> {
  const agent = await rig.server().agents.connect("c1");
  return (await agent.call("hello", { protocol: 1 })).nodes.map((node) => node.bundle);
}

/** What the ranks printed, without prefixes; one character per byte. */
function linesOf(bytes: Buffer): string[] {
  const lines = bytes.toString("latin1").split("\n");
  return lines.flatMap((line) => /line \d+ [^\n]*$/.exec(line) ?? []);
}

function printedOn(nodes: number): string[] {
  const lines = Array.from({ length: 40 }, (_, index) => `line ${index + 1} \u00ff\u0000`);
  return Array.from({ length: nodes }, () => lines).flat();
}

test.each([1, 2])("a job on %i node(s) survives the upgrade by a launch: once, byte for byte", async (nodes) => {
  const indices = Array.from({ length: nodes }, (_, index) => index);
  await rig.launch(COUNTING, nodes);
  await waitFor("the job to begin", () => indices.every((index) => begunOn(index) !== ""));
  const before = indices.map(pidOf);
  const [bundleBefore] = await bundles();
  rig.installRelease("newer");
  await rig.launch("echo second", nodes);
  for (const index of indices) expect(pidOf(index)).not.toBe(before[index]);
  expect(new Set(await bundles()).size).toBe(1);
  expect((await bundles())[0]).not.toBe(bundleBefore);
  const { bytes, exitCode } = await rig.readLog(1);
  expect(exitCode).toBe(0);
  expect(linesOf(bytes).toSorted()).toEqual(printedOn(nodes).toSorted());
  expect(indices.map(begunOn)).toEqual(indices.map(() => "begun\n"));
  expect((await rig.readLog(2)).exitCode).toBe(0);
});

test("a server of another release upgrades the agent when it comes, and the job goes on", async () => {
  await rig.launch(COUNTING);
  await waitFor("the job to begin", () => begunOn(0) !== "");
  const before = pidOf(0);
  await rig.stopServer();
  rig.installRelease("newest");
  await rig.startServer();
  const { bytes, exitCode } = await rig.readLog(1);
  expect(pidOf(0)).not.toBe(before);
  expect(exitCode).toBe(0);
  expect(linesOf(bytes)).toEqual(printedOn(1));
});
