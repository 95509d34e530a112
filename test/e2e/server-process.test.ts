import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeWireError, toWireError } from "../../src/shared/wire/error.ts";
import {
  ClusterNotUpError,
  CommandError,
  InvalidValueError,
  ResourcesUnavailableError,
} from "../../src/shared/errors.ts";
import { PickleTuple, writePickle, type PickleValue } from "../../src/shared/wire/pickle.ts";
import { waitFor } from "../fakes/wait-for.ts";
import { describeWithReference } from "./support/reference.ts";

const entry = fileURLToPath(new URL("../../dist/server/main.mjs", import.meta.url));

let home: string;
let children: ChildProcess[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "server-process-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(home, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  output(): string;
  errors(): string;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const child = spawn(process.execPath, [entry, ...args], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  return { child, output: () => output, errors: () => errors };
}

async function start(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Run & { url: string }> {
  const running = run(["--port=0", ...args], env);
  await waitFor("the server to listen", () => /"port":\d+/.test(running.output()));
  const port = /"port":(\d+)/.exec(running.output())?.[1] ?? "";
  return { ...running, url: `http://127.0.0.1:${port}` };
}

async function ended(running: Run): Promise<number | null> {
  if (running.child.exitCode === null) await once(running.child, "exit");
  return running.child.exitCode;
}

/** fetch cannot set Host. */
async function getWithHost(url: string, host: string): Promise<number | undefined> {
  const call = request(url, { headers: { host } });
  call.end();
  const [response] = (await once(call, "response")) as [{ statusCode?: number; resume(): void }];
  response.resume();
  return response.statusCode;
}

test("start, pid file, health, stop: everything is private and nothing is left running", async () => {
  const server = await start();
  const pidFile = join(home, ".sky/ts/server.pid");
  await waitFor("the pid file", () => existsSync(pidFile));
  expect(JSON.parse(readFileSync(pidFile, "utf8"))).toMatchObject({
    pid: server.child.pid,
    port: Number(new URL(server.url).port),
  });
  const health = await fetch(`${server.url}/api/health`);
  expect(health.headers.get("x-skypilot-api-version")).toBe("62");
  expect(await health.json()).toMatchObject({
    status: "healthy",
    api_version: "62",
    external_proxy_auth_enabled: false,
  });
  for (const name of ["", "state.sqlite", "server.key", "server.pid"]) {
    expect(statSync(join(home, ".sky/ts", name)).mode & 0o077, name).toBe(0);
  }
  expect(await getWithHost(`${server.url}/api/health`, "evil.example")).toBe(403);
  server.child.kill("SIGTERM");
  expect(await ended(server)).toBe(0);
  expect(existsSync(pidFile)).toBe(false);
});

test("a second server on the same directory names the first and leaves it alone", async () => {
  const first = await start();
  const second = run(["--port=0"]);
  expect(await ended(second)).toBe(1);
  expect(second.errors()).toContain(`pid ${first.child.pid}`);
  expect(second.errors()).toContain("hint: ");
  expect(second.errors()).not.toContain("    at ");
  expect((await fetch(`${first.url}/api/health`)).status).toBe(200);
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  const third = await start();
  expect((await fetch(`${third.url}/api/health`)).status).toBe(200);
});

test("a port that is taken is named, with a next step and exit code 1", async () => {
  const other: Server = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const server = run([`--port=${port}`]);
  expect(await ended(server)).toBe(1);
  expect(server.errors()).toMatch(
    new RegExp(`^error: Cannot listen on 127\\.0\\.0\\.1:${port}: another program uses this port\\.\nhint: `),
  );
  other.close();
});

test("a listener beyond loopback wants a token for everything but the health check", async () => {
  const server = await start(["--host=0.0.0.0"]);
  const token = readFileSync(join(home, ".sky/ts/server.token"), "utf8").trim();
  expect(statSync(join(home, ".sky/ts/server.token")).mode & 0o077).toBe(0);
  expect(server.output()).not.toContain(token);
  const status = (headers: Record<string, string>): Promise<number> =>
    fetch(`${server.url}/api/status`, { headers }).then((response) => response.status);
  expect(await status({})).toBe(401);
  expect(await status({ "x-auth-request-email": "eve@example.com" })).toBe(401);
  expect(await status({ authorization: `Bearer ${token}` })).toBe(200);
  const versions = { "x-skypilot-api-version": "62", "x-skypilot-version": "0.14.1" };
  expect(await (await fetch(`${server.url}/api/health`, { headers: versions })).json()).toMatchObject({
    status: "needs_auth",
  });
  expect(await (await fetch(`${server.url}/api/health`)).json()).toEqual({ status: "healthy" });
});

describeWithReference("a real Python", ({ python }) => {
  async function load(code: string, input: Uint8Array | string): Promise<string> {
    const child = spawn(python, ["-c", code], { stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stdin.end(input);
    const [exitCode] = (await once(child, "close")) as [number | null];
    expect(exitCode).toBe(0);
    return output;
  }

  test("loads every value that we pickle", async () => {
    const values: readonly PickleValue[] = [
      null,
      true,
      false,
      0,
      255,
      256,
      -1,
      2 ** 31 - 1,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 53 - 1,
      10n ** 40n,
      -(10n ** 40n),
      1.5,
      -0,
      1e300,
      "",
      "é\u{1f600}\n\0",
      "x".repeat(70_000),
      [],
      [1, [2, ["a"]]],
      {},
      { a: { b: [null] } },
      new PickleTuple([]),
      new PickleTuple([1, "b", new PickleTuple([2])]),
    ];
    const lines = values.map((value) => Buffer.from(writePickle(value)).toString("base64")).join("\n");
    const code =
      "import sys,base64,pickle,json\nfor l in sys.stdin.read().split(): print(json.dumps(repr(pickle.loads(base64.b64decode(l)))))";
    const shown = (await load(code, lines))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as string);
    expect(shown).toHaveLength(values.length);
    expect(shown.slice(0, 16)).toEqual([
      "None",
      "True",
      "False",
      "0",
      "255",
      "256",
      "-1",
      "2147483647",
      "2147483648",
      "-2147483649",
      "9007199254740991",
      `1${"0".repeat(40)}`,
      `-1${"0".repeat(40)}`,
      "1.5",
      "-0.0",
      "1e+300",
    ]);
    expect(shown[17]).toBe(String.raw`'é😀\n\x00'`);
    expect(shown[18]).toHaveLength(70_002);
    expect(shown.slice(19)).toEqual(["[]", "[1, [2, ['a']]]", "{}", "{'a': {'b': [None]}}", "()", "(1, 'b', (2,))"]);
  });

  test("rebuilds the official client's exceptions from our errors", async () => {
    const errors = [
      new InvalidValueError("no such thing"),
      new ClusterNotUpError("Cluster 'c1' is STOPPED."),
      new ResourcesUnavailableError("nothing free", { noFailover: true }),
      new CommandError(3, "make all", "it failed"),
    ];
    const lines = errors.map((error) => encodeWireError(toWireError(error))).join("\n");
    const code = `
import sys, json, builtins
from sky import exceptions
for line in sys.stdin.read().splitlines():
    error = json.loads(line)
    data = exceptions.deserialize_exception(__import__('pickle').loads(__import__('base64').b64decode(error['object'])))
    print(type(data).__name__, '|', str(data).replace(chr(10), ' '))
`;
    const shown = (await load(code, lines)).trim().split("\n");
    expect(shown.slice(0, 3)).toEqual([
      "ValueError | no such thing",
      "ClusterNotUpError | Cluster 'c1' is STOPPED.",
      "ResourcesUnavailableError | nothing free",
    ]);
    expect(shown[3]).toContain("CommandError | Command make all failed with return code 3.");
    expect(shown[3]).toContain("it failed");
  });
});
