import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AgentError } from "../../shared/errors.ts";
import type { Runner } from "../../core/ports/runner.ts";
import { nodeEnvironment } from "./environment.ts";
import { createLocalRunner } from "./runner.ts";

let directory: string;
let runner: Runner;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "runner-"));
  runner = createLocalRunner({ env: { PATH: process.env["PATH"] ?? "", A: "1" }, cwd: directory });
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("run", () => {
  test("gives output and exit code, with the node's environment and no other", async () => {
    const script = 'cat; echo "$A $B ${HOME-none}"; pwd >&2; exit 3';
    const result = await runner.run(["sh", "-c", script], { env: { B: "2" }, stdin: "in\n" });
    expect(result).toEqual({ exitCode: 3, stdout: "in\n1 2 none\n", stderr: `${directory}\n` });
  });

  test("rejects for a missing program, a time-out and an abort", async () => {
    await expect(runner.run(["/no/such/program"])).rejects.toThrow("ENOENT");
    await expect(runner.run(["sleep", "60"], { timeoutMs: 20 })).rejects.toThrow("aborted");
    await expect(runner.run(["sleep", "60"], { signal: AbortSignal.abort() })).rejects.toThrow("aborted");
  });

  test("a program that does not read its input is no error", async () => {
    const result = await runner.run(["true"], { stdin: "x".repeat(1_000_000) });
    expect(result.exitCode).toBe(0);
  });
});

describe("startAgent", () => {
  test("places program and configuration and starts the program in a session of its own", async () => {
    const source = join(directory, "source.cjs");
    // Prints what it was started with; `ps` knows its session.
    writeFileSync(
      source,
      `const { execFileSync } = require("node:child_process");
      const session = execFileSync("ps", ["-o", "sid=", "-p", String(process.pid)]).toString().trim();
      console.log(JSON.stringify({ args: process.argv.slice(2), own: session === String(process.pid) }));
      console.error("done");`,
    );
    const root = join(directory, "root");
    const installDir = join(directory, "install");
    const plan = { root, installDir, bundle: { path: source, hash: "abc" }, config: Buffer.from("{}") };
    await runner.startAgent(plan);
    const output = join(root, "agent.out");
    await waitFor(() => existsSync(output) && readFileSync(output, "utf8").includes("done"));
    expect(JSON.parse(readFileSync(output, "utf8").split("\n")[0] ?? "")).toEqual({
      args: ["daemon", "--root", root],
      own: true,
    });
    const program = join(installDir, "abc", "agent.cjs");
    expect(statSync(program).mode & 0o777).toBe(0o644);
    const modes = ["node.json", "agent.out"].map((name) => statSync(join(root, name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600]);
    const before = statSync(program).ino;
    await runner.startAgent(plan);
    expect(statSync(program).ino).toBe(before);
    expect(readdirSync(root).sort()).toEqual(["agent.out", "node.json"]);
    await waitFor(() => readFileSync(output, "utf8").split("done").length === 3);
  });
});

async function waitFor(predicate: () => boolean): Promise<void> {
  while (!predicate()) await new Promise((resolve) => setImmediate(resolve));
}

describe("connectAgent", () => {
  test("rejects at once when nobody listens, or after the wait", async () => {
    await expect(runner.connectAgent(directory)).rejects.toThrow(AgentError);
    await expect(runner.connectAgent(directory, { waitMs: 10 })).rejects.toThrow(`No agent listens in ${directory}.`);
    const signal = AbortSignal.abort(new Error("cancelled"));
    await expect(runner.connectAgent(directory, { waitMs: 10_000, signal })).rejects.toThrow("cancelled");
  });

  test("notices an agent that starts to listen", async () => {
    const connecting = runner.connectAgent(directory, { waitMs: 10_000 });
    // Other files in the directory must not disturb.
    mkdirSync(join(directory, "tasks"));
    const server = createServer((socket) => socket.end("hello")).listen(join(directory, "agent.sock"));
    const socket = await connecting;
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    expect(text).toBe("hello");
    await new Promise((resolve) => server.close(resolve));
  });
});

test("a node sees how to find programs, but not the server's secrets", () => {
  const server = {
    PATH: "/bin",
    LC_ALL: "C",
    AWS_SECRET_ACCESS_KEY: "x",
    SKYPILOT_DB_CONNECTION_URI: "y",
    HOME: "/root",
  };
  expect(nodeEnvironment(server, { directory: "/n", home: "/n/home" })).toEqual({
    PATH: "/bin",
    LC_ALL: "C",
    HOME: "/n/home",
    SKYPILOT_LOCAL_NODE: "/n",
  });
});
