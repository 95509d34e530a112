import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { operations } from "../../src/core/operations.ts";
import { createLocalRig, type LocalRig } from "./support/local-rig.ts";
import { waitFor } from "./support/wait-for.ts";

let rig: LocalRig;

beforeEach(async () => {
  rig = await createLocalRig();
});

afterEach(() => rig.close());

test("one node grows to two while a job runs: its log goes on as it began", async () => {
  await rig.launch("touch ~/begun; for i in $(seq 1 30); do echo line $i; sleep 0.1; done");
  await waitFor("the job to begin", () => existsSync(join(rig.nodeDirectory(0), "home", "begun")));
  const task = "name: t\nnum_nodes: 2\nresources:\n  infra: local\nrun: echo rank $SKYPILOT_NODE_RANK\n";
  await rig.run(operations.launch, { task, cluster_name: "c1", resize: true });
  const first = await rig.readLog(1);
  expect(first.exitCode).toBe(0);
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is removed
  const text = first.bytes.toString().replace(/\u001b\[[0-9;]*m/g, "");
  const lines = text.split("\n").filter((line) => line.startsWith("(t"));
  expect(lines.map((line) => line.replace(/pid=\d+/, "pid=N"))).toEqual(
    Array.from({ length: 30 }, (_, index) => `(t, pid=N) line ${index + 1}`),
  );
  const second = (await rig.readLog(2)).bytes.toString();
  expect(second).toContain("rank 0");
  expect(second).toContain("rank 1");
  const logs = join(rig.nodeDirectory(0), "home", "sky_logs", "1-t", "tasks");
  expect(existsSync(join(logs, "run.log"))).toBe(true);
});
