import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findNodeProcesses } from "../../src/runners/local/processes.ts";
import { openCatalogs } from "../support/catalogs.ts";
import { createCloudRegistry } from "../../src/clouds/registry.ts";
import { streamJobLogs } from "../../src/core/clusters/logs.ts";
import { operations } from "../../src/core/operations.ts";
import { findCluster } from "../../src/db/queries/clusters.ts";
import { createTestServer, type TestServer } from "../fakes/operation-context.ts";

const agentBundle = fileURLToPath(new URL("../../dist/agent/agent.cjs", import.meta.url));

let server: TestServer;
let requests = 0;

beforeEach(async () => {
  server = await open();
});

afterEach(async () => {
  for (const name of nodeDirectories())
    await run(operations.down, { cluster_name: name.replace(/-0a1b2c3d$/, ""), purge: true });
  await server.close();
});

function open(home?: string): Promise<TestServer> {
  return createTestServer({
    agentBundle,
    clouds: (base) => createCloudRegistry({ home: base, env: process.env, catalogs: openCatalogs(base), agentBundle }),
    ...(home === undefined ? {} : { home }),
  });
}

function nodeDirectories(): string[] {
  const root = join(server.home, ".sky", "local");
  return existsSync(root) ? readdirSync(root) : [];
}

function task(fields: string, resources = "infra: local"): string {
  return `name: hello\n---\nname: hello\nresources:\n  ${resources}\n${fields}\n`;
}

async function run<Body, Result>(
  operation: { run(body: Body, context: Awaited<ReturnType<TestServer["context"]>>): Promise<Result> },
  body: Body,
): Promise<{ readonly result: Result; readonly lines: readonly string[] }> {
  requests += 1;
  const context = await server.context(`r${requests}`);
  const result = await operation.run(body, context);
  return { result, lines: context.log.plain() };
}

function launch(fields: string, body: object = {}) {
  return run(operations.launch, { task: task(fields), cluster_name: "c1", ...body });
}

async function readLog(
  jobId: number | null,
): Promise<{ readonly lines: readonly string[]; readonly exitCode: number }> {
  requests += 1;
  const stream = await streamJobLogs({ cluster_name: "c1", job_id: jobId }, await server.context(`r${requests}`));
  let text = "";
  for await (const chunk of stream.chunks) text += Buffer.from(chunk).toString();
  const { exitCode } = await stream.end;
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is removed
  const plain = text.replace(/\u001b\[[0-9;]*m/g, "").replace(/pid=\d+/g, "pid=N");
  return { lines: plain.trimEnd().split("\n"), exitCode };
}

async function waitForStatus(status: string | undefined): Promise<void> {
  while ((await findCluster(server.database.db, "c1"))?.status !== status) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a cluster on this machine", () => {
  test("launch, exec, queue and logs", async () => {
    const { result, lines } = await launch("setup: echo set up\nrun: echo hi from $SKYPILOT_NODE_RANK");
    expect(result.job_id).toBe(1);
    expect(result.handle).toMatchObject({ launched_resources: { infra: "ssh/local" }, launched_nodes: 1 });
    expect(lines.slice(6)).toEqual([
      "⚙︎ Launching on Local.",
      "└── Instance is up.",
      "✓ Cluster launched: c1.  View logs: sky logs --provision c1",
      "✓ Setup detached.",
      "⚙︎ Job submitted, ID: 1",
    ]);
    expect(await readLog(1)).toEqual({
      lines: [
        "├── Waiting for task resources on 1 node.",
        "└── Job started. Streaming logs... (Ctrl-C to exit log streaming; job will not be killed)",
        "(setup pid=N) set up",
        "(hello, pid=N) hi from 0",
      ],
      exitCode: 0,
    });
    await run(operations.exec, { task: task("run: exit 3"), cluster_name: "c1" });
    expect((await readLog(null)).exitCode).toBe(100);
    const { result: queue } = await run(operations.queue, { cluster_name: "c1" });
    expect(queue.map(({ job_id, status }) => [job_id, status])).toEqual([
      [2, "FAILED"],
      [1, "SUCCEEDED"],
    ]);
  });

  test("four nodes have addresses of their own and may all bind the same port", async () => {
    const program =
      "node -e \"require('net').createServer().listen(18999, process.argv[1], () => { console.log('bound'); setTimeout(() => process.exit(), 2000); })\"";
    const script = `ip=$(echo "$SKYPILOT_NODE_IPS" | sed -n "$((SKYPILOT_NODE_RANK + 1))p"); ${program} $ip`;
    await launch(`num_nodes: 4\nrun: |\n  ${script}`);
    const { lines, exitCode } = await readLog(1);
    expect(exitCode).toBe(0);
    expect(lines.filter((line) => line.endsWith(" bound"))).toHaveLength(4);
  });

  test("workdir and file mounts arrive on every node", async () => {
    // A part of a repository whose top says what is kept out of it.
    mkdirSync(join(server.home, "repo/.git"), { recursive: true });
    writeFileSync(join(server.home, "repo/.git/HEAD"), "ref: refs/heads/main\n");
    writeFileSync(join(server.home, "repo/.gitignore"), ".env\n");
    const wd = join(server.home, "repo/wd");
    mkdirSync(join(wd, "deep"), { recursive: true });
    writeFileSync(join(wd, ".gitignore"), "*.log\n!keep.log\n");
    for (const name of ["a.log", "keep.log", "deep/x.txt", ".env"]) writeFileSync(join(wd, name), name);
    symlinkSync("deep/x.txt", join(wd, "link"));
    const mounted = join(server.home, "one.txt");
    writeFileSync(mounted, "one");
    const fields = [
      "num_nodes: 2",
      `workdir: ${wd}`,
      `file_mounts:\n  ~/mnt/one: ${mounted}`,
      "run: echo $(find . -type f | sort) $(readlink link) $(cat ~/mnt/one)",
    ];
    await launch(fields.join("\n"));
    const { lines } = await readLog(1);
    expect(lines.filter((line) => line.includes("./deep")).map((line) => line.replace(/^\(.*?\) /, ""))).toEqual([
      "./.gitignore ./deep/x.txt ./keep.log deep/x.txt one",
      "./.gitignore ./deep/x.txt ./keep.log deep/x.txt one",
    ]);
  });

  test("stop ends every process and keeps the files; start brings the cluster back", async () => {
    await launch("run: echo kept > ~/kept; sleep 300");
    const [directory] = nodeDirectories();
    const node = join(server.home, ".sky", "local", directory ?? "", "node0");
    while (!existsSync(join(node, "home", "kept"))) await new Promise((resolve) => setImmediate(resolve));
    await run(operations.stop, { cluster_name: "c1" });
    expect(findNodeProcesses(node)).toEqual([]);
    await waitForStatus("STOPPED");
    await run(operations.start, { cluster_name: "c1" });
    const { result } = await run(operations.exec, { task: task("run: cat ~/kept"), cluster_name: "c1" });
    expect((await readLog(result.job_id)).lines.at(-1)).toBe("(hello, pid=N) kept");
    const { result: status } = await run(operations.job_status, { cluster_name: "c1", job_ids: [1] });
    expect(status).toEqual({ "1": "FAILED_DRIVER" });
    await run(operations.down, { cluster_name: "c1" });
    expect(nodeDirectories()).toEqual([]);
    expect(findNodeProcesses(node)).toEqual([]);
  });

  test.each([
    [false, "STOPPED"],
    [true, undefined],
  ])("that is idle takes itself away (down: %s)", async (down, status) => {
    await launch("run: echo done");
    await readLog(1);
    const agent = await server.agents.connect("c1");
    await agent.call("set_autostop", { key: "k", idleMinutes: 0, down, waitFor: "none" });
    await waitForStatus(status);
    expect(nodeDirectories()).toHaveLength(down ? 0 : 1);
    await server.agents.close();
  });

  test("grows with --resize while a job runs, and shrinks when none does", async () => {
    await launch("num_nodes: 2\nrun: sleep 1; echo survived");
    await launch("num_nodes: 3\nrun: echo rank $SKYPILOT_NODE_RANK", { resize: true });
    const { lines } = await readLog(2);
    expect(lines.filter((line) => / rank \d$/.test(line))).toHaveLength(3);
    const { lines: first, exitCode } = await readLog(1);
    expect(exitCode).toBe(0);
    expect(first.filter((line) => line.endsWith(" survived"))).toHaveLength(2);
    await launch("num_nodes: 1\nrun: echo alone", { resize: true });
    expect((await readLog(3)).lines.at(-1)).toContain("alone");
    const [directory] = nodeDirectories();
    const left = readdirSync(join(server.home, ".sky", "local", directory ?? ""));
    expect(left.filter((name) => name.startsWith("node"))).toEqual(["node0"]);
  });

  test("goes on while the agent is killed, and takes a launch after that", async () => {
    await launch("run: for i in 1 2 3; do echo $i; sleep 0.2; done");
    const [directory] = nodeDirectories();
    const pidFile = join(server.home, ".sky", "local", directory ?? "", "node0", "agent", "agent.pid");
    process.kill(Number(readFileSync(pidFile, "utf8").split(" ")[0]), "SIGKILL");
    const { result } = await launch("run: echo again");
    expect(result.job_id).toBe(2);
    expect((await readLog(1)).exitCode).toBe(0);
    expect((await readLog(2)).lines.at(-1)).toBe("(hello, pid=N) again");
  });
});
