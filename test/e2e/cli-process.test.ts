/** What only a process of its own shows: starting the local server, Ctrl-C, a reader that goes away. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SkyClient } from "../../src/client/sky-client.ts";
import { WireServer } from "../fakes/wire-server.ts";
import { freePort } from "../support/free-port.ts";

const sky = fileURLToPath(new URL("../../bin/sky.cjs", import.meta.url));
let dir: string;
const pids: number[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "sky-process-"));
});

afterEach(() => {
  for (const pid of pids.splice(0)) process.kill(pid, "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/** A server's bundle that notes its pid and answers health. */
const FAKE_SERVER = `
import { createServer } from "node:http";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
appendFileSync(join(process.env.HOME, "started"), process.pid + "\\n");
const port = Number(process.argv.find((word) => word.startsWith("--port=")).slice(7));
createServer((request, response) => {
  response.setHeader("X-SkyPilot-API-Version", "62");
  response.end(JSON.stringify({ status: "healthy" }));
}).listen(port, "127.0.0.1");
`;

function clientWith(serverSource: string, port: number, notes: string[] = []): SkyClient {
  mkdirSync(join(dir, "server"), { recursive: true });
  writeFileSync(join(dir, "server", "main.mjs"), serverSource);
  return new SkyClient({
    env: { HOME: dir, PATH: process.env["PATH"], SKYPILOT_API_SERVER_LOCAL_PORT: String(port), SKYPILOT_USER_ID: "x" },
    home: dir,
    packageDir: dir,
    notify: (message) => notes.push(message),
  });
}

describe("the local server", () => {
  test("is started once, however many clients find it missing", async () => {
    const port = await freePort();
    const notes: string[] = [];
    const clients = [1, 2, 3].map(() => clientWith(FAKE_SERVER, port, notes));
    const healths = await Promise.all(
      clients.map((client) => client.session.json("GET", "/api/health", { repeatable: true })),
    );
    const started = readFileSync(join(dir, "started"), "utf8").trim().split("\n");
    pids.push(...started.map(Number));
    expect(started).toHaveLength(1);
    expect(healths).toEqual([{ status: "healthy" }, { status: "healthy" }, { status: "healthy" }]);
    expect(notes).toContain(
      `Failed to connect to SkyPilot API server at http://127.0.0.1:${port}. Starting a local server.`,
    );
    expect(existsSync(join(dir, ".sky/ts/server-start.lock"))).toBe(false);
    for (const client of clients) await client.close();
  });

  test("that ends while starting shows what it said last", async () => {
    const client = clientWith(`console.error("the database is damaged"); process.exit(3);`, await freePort());
    await expect(client.session.json("GET", "/api/health", { repeatable: true })).rejects.toThrow(
      /ended with exit code 3 while starting\.\n {2}the database is damaged/,
    );
    await client.close();
  });

  test("a lock that a dead client left is taken over", async () => {
    const port = await freePort();
    const client = clientWith(FAKE_SERVER, port);
    mkdirSync(join(dir, ".sky/ts"), { recursive: true });
    writeFileSync(join(dir, ".sky/ts/server-start.lock"), "999999999");
    await client.session.json("GET", "/api/health", { repeatable: true });
    pids.push(Number(readFileSync(join(dir, "started"), "utf8")));
    await client.close();
  });
});

function run(argv: readonly string[], server: WireServer): ChildProcess {
  const env = { HOME: dir, PATH: process.env["PATH"], SKYPILOT_API_SERVER_ENDPOINT: server.url };
  return spawn(process.execPath, [sky, ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
}

async function ending(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

describe("Ctrl-C", () => {
  test("detaches from a job's log and cancels nothing", async () => {
    const server = await WireServer.start({
      routes: { "POST /logs": (_call, response) => void response.write("running\n") },
    });
    const child = run(["logs", "c"], server);
    child.stdout?.once("data", () => child.kill("SIGINT"));
    const { code, out, err } = await ending(child);
    expect({ code, out }).toEqual({ code: 130, out: "running\n" });
    expect(err).toContain("\nAborted!\n");
    expect(server.calls.map((call) => call.path)).toEqual(["/logs"]);
    await server.stop();
  });

  test("leaves a request running and says how to find it", async () => {
    const server = await WireServer.start({
      routes: {
        "POST /check": () => ({ value: null }),
        "GET /api/stream": (_call, response) => void response.write("checking\n"),
      },
    });
    const child = run(["check"], server);
    child.stdout?.once("data", () => child.kill("SIGINT"));
    const { code, err } = await ending(child);
    expect(code).toBe(130);
    expect(err).toMatch(/⚙︎ Request will continue running asynchronously\.\n├── View logs: sky api logs [0-9a-f]{8}\n/);
    await server.stop();
  });
});

describe("output", () => {
  test("a reader that goes away ends the command quietly", async () => {
    const line = `${"x".repeat(99)}\n`;
    const server = await WireServer.start({
      routes: { "POST /logs": (_call, response) => void response.end(line.repeat(50_000)) },
    });
    const child = run(["logs", "c", "--tail", "0"], server);
    child.stdout?.once("data", () => child.stdout?.destroy());
    const { err } = await ending(child);
    expect(err).not.toContain("EPIPE");
    expect(err).not.toContain("error:");
    await server.stop();
  });

  test("bash takes the completion script and gets its answers", async () => {
    const env = { HOME: dir, PATH: process.env["PATH"], _SKY_COMPLETE: "bash_source" };
    const { stdout: script } = await promisify(execFile)(process.execPath, [sky], { env });
    writeFileSync(join(dir, "sky"), `#!/bin/sh\nexec ${process.execPath} ${sky} "$@"\n`, { mode: 0o755 });
    writeFileSync(
      join(dir, "try.bash"),
      `${script}\nCOMP_WORDS=(sky api st); COMP_CWORD=2; compopt() { :; }; _sky_completion ${join(dir, "sky")}; echo "\${COMPREPLY[@]}"\n`,
    );
    const { stdout } = await promisify(execFile)("bash", [join(dir, "try.bash")], {
      env: { HOME: dir, PATH: env.PATH },
    });
    expect(stdout).toBe("start stop status\n");
  });
});
