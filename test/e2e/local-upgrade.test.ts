import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCloudRegistry } from "../../src/clouds/registry.ts";
import { streamJobLogs } from "../../src/core/clusters/logs.ts";
import { operations } from "../../src/core/operations.ts";
import type { AgentPeer } from "../../src/shared/agent/peer.ts";
import { openDatabase, type OpenDatabase } from "../../src/db/database.ts";
import { createTestServer, type TestServer } from "../fakes/operation-context.ts";

const built = fileURLToPath(new URL("../../dist/agent/agent.cjs", import.meta.url));
/** Prints numbered lines of bytes that are no text, and counts how often it was begun. */
const COUNTING = `echo begun >> ~/begun; for i in $(seq 1 40); do printf 'line %s \\xff\\x00\\n' $i; sleep 0.1; done`;

let home: string;
let database: OpenDatabase;
let server: TestServer;
let requests = 0;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "upgrade-"));
  copyFileSync(built, join(home, "agent.cjs"));
  database = await openDatabase({ sqlite: ":memory:" });
  server = await open();
});

afterEach(async () => {
  await run(operations.down, { cluster_name: "c1", purge: true });
  await server.close();
  await database.close();
  rmSync(home, { recursive: true, force: true });
});

function open(): Promise<TestServer> {
  return createTestServer({
    agentBundle: join(home, "agent.cjs"),
    clouds: (base) => createCloudRegistry({ home: base, env: process.env }),
    home,
    database,
  });
}

function installRelease(comment: string): void {
  writeFileSync(join(home, "agent.cjs"), `${readFileSync(built, "utf8")}\n// ${comment}\n`);
}

async function run<Body, Result>(
  operation: { run(body: Body, context: Awaited<ReturnType<TestServer["context"]>>): Promise<Result> },
  body: Body,
): Promise<Result> {
  requests += 1;
  return operation.run(body, await server.context(`r${requests}`));
}

function launch(script: string, nodes: number) {
  const task = `name: t\nnum_nodes: ${nodes}\nresources:\n  infra: local\nrun: |\n  ${script}\n`;
  return run(operations.launch, { task, cluster_name: "c1" });
}

async function readLog(jobId: number): Promise<{ readonly bytes: Buffer; readonly exitCode: number }> {
  requests += 1;
  const stream = await streamJobLogs({ cluster_name: "c1", job_id: jobId }, await server.context(`r${requests}`));
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.chunks) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), exitCode: (await stream.end).exitCode };
}

function nodeDirectory(index: number): string {
  const root = join(home, ".sky", "local");
  return join(root, readdirSync(root)[0] ?? "", `node${index}`);
}

function pidOf(index: number): string {
  return readFileSync(join(nodeDirectory(index), "agent", "agent.pid"), "utf8");
}

async function bundlesOf(agent: AgentPeer): Promise<readonly (string | undefined)[]> {
  const { nodes } = await agent.call("hello", { protocol: 1 });
  return nodes.map((node) => node.bundle);
}

/** The lines of one rank, without prefix, as bytes in hexadecimal. */
function linesOf(bytes: Buffer): string[] {
  const lines = bytes.toString("latin1").split("\n");
  return lines.flatMap((line) => /line \d+ [^\n]*$/.exec(line) ?? []);
}

function expectedLines(): string[] {
  return Array.from({ length: 40 }, (_, index) => `line ${index + 1} \u00ff\u0000`);
}

async function waitForOutput(index: number): Promise<void> {
  for (;;) {
    try {
      if (readFileSync(join(nodeDirectory(index), "home", "begun"), "utf8") !== "") return;
    } catch {
      // Not begun yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test.each([1, 2])("a job on %i node(s) survives the upgrade by a launch: once, byte for byte", async (nodes) => {
  await launch(COUNTING, nodes);
  for (let index = 0; index < nodes; index++) await waitForOutput(index);
  const before = Array.from({ length: nodes }, (_, index) => pidOf(index));
  const bundlesBefore = await bundlesOf(await server.agents.connect("c1"));
  installRelease("newer");
  await launch("echo second", nodes);
  const after = Array.from({ length: nodes }, (_, index) => pidOf(index));
  for (let index = 0; index < nodes; index++) expect(after[index]).not.toBe(before[index]);
  const bundles = await bundlesOf(await server.agents.connect("c1"));
  expect(new Set(bundles).size).toBe(1);
  expect(bundles[0]).not.toBe(bundlesBefore[0]);
  const { bytes, exitCode } = await readLog(1);
  expect(exitCode).toBe(0);
  expect(linesOf(bytes).toSorted()).toEqual(Array.from({ length: nodes }, expectedLines).flat().toSorted());
  for (let index = 0; index < nodes; index++) {
    expect(readFileSync(join(nodeDirectory(index), "home", "begun"), "utf8")).toBe("begun\n");
  }
  expect((await readLog(2)).exitCode).toBe(0);
});

test("a server of another release upgrades the agent when it comes, and the job goes on", async () => {
  await launch(COUNTING, 1);
  await waitForOutput(0);
  const before = pidOf(0);
  await server.close();
  installRelease("newest");
  server = await open();
  const { bytes, exitCode } = await readLog(1);
  expect(pidOf(0)).not.toBe(before);
  expect(exitCode).toBe(0);
  expect(linesOf(bytes)).toEqual(expectedLines());
});
