import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { signalProcess } from "./support/process-tree.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const LINES = 60;

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.create();
  await sandbox.startServer();
  const launched = await sandbox.sky(["launch", "-y", "-c", "c", "--infra", "local", "--num-nodes", "2", "true"]);
  expect(launched.exitCode, launched.stderr).toBe(0);
});

afterAll(async () => {
  await sandbox?.dispose();
});

function killAgents(pattern: RegExp): number {
  const agents = sandbox.processes().filter(({ argv }) => pattern.test(argv.join(" ")));
  for (const { pid } of agents) signalProcess(pid, "SIGKILL");
  return agents.length;
}

test.each([
  ["of every node", /agent\.cjs daemon --root/u, 2],
  ["of a worker", /agent\.cjs daemon --root \S*\/node1\//u, 1],
])("kill -9 of the agents %s: they come back, whoever follows the log misses nothing", async (what, pattern, count) => {
  const ledger = join(sandbox.root, `ledger ${what}`);
  const script = `echo start >> '${ledger}'; for n in $(seq ${LINES}); do echo "line $n"; sleep 0.05; done`;
  let heard = "";
  const client = sandbox.startSky(["exec", "c", "--num-nodes", "2", script], {
    onOutput: (text) => {
      heard += text;
    },
  });
  await waitFor("the job", () => plainText(heard).includes(") line 5\n"));
  expect(killAgents(pattern)).toBe(count);
  const result = await client.result;
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
  const lines = plainText(result.stdout).split("\n");
  for (const rank of [0, 1]) {
    const own = lines.filter((line) => line.includes(`rank=${rank},`)).map((line) => line.replace(/^\([^)]*\) /u, ""));
    expect(own).toEqual(Array.from({ length: LINES }, (_, n) => `line ${n + 1}`));
  }
  expect(existsSync(ledger) && readFileSync(ledger, "utf8")).toBe("start\nstart\n");
  const status = await sandbox.sky(["status", "-r"]);
  expect(plainText(status.stdout)).toMatch(/^c .* UP /mu);
});
