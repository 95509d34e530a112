import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = fileURLToPath(new URL("support/crash-server.ts", import.meta.url));
const key = "11111111-2222-4333-8444-555555555555";

let home: string;
let servers: ChildProcess[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "server-crash-"));
  servers = [];
});
afterEach(async () => {
  for (const server of servers) {
    if (server.exitCode !== null || server.signalCode !== null) continue;
    server.kill("SIGKILL");
    await once(server, "exit");
  }
  rmSync(home, { recursive: true, force: true });
});

interface Running {
  readonly url: string;
  readonly process: ChildProcess;
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const child = spawn(process.execPath, [script, home], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.push(child);
  const [output] = (await once(child.stdout, "data")) as [Buffer];
  return { url: `http://127.0.0.1:${output.toString().trim()}`, process: child };
}

/** Posts the launch. The answer may be lost with the server; the key makes the repetition harmless. */
async function launch(server: Running): Promise<void> {
  const response = await fetch(`${server.url}/launch`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-skypilot-idempotency-key": key },
    body: JSON.stringify({ task: "run: x", cluster_name: "c1" }),
  });
  expect(response.headers.get("x-skypilot-request-id")).toBe(key);
}

/** Reads the stream from a byte on, until its end or until the server dies. */
async function stream(server: Running, offset: number): Promise<string> {
  let text = "";
  try {
    const response = await fetch(`${server.url}/api/stream?request_id=${key}&format=console&offset=${offset}`);
    if (response.status !== 200 || response.body === null) return "";
    for await (const chunk of response.body) text += Buffer.from(chunk).toString("utf8");
  } catch {
    // The connection broke: what came before it counts.
  }
  return text;
}

interface Result {
  readonly status: string;
  readonly value: string;
  readonly log: string;
  readonly world: string;
}

async function finish(server: Running, log: string): Promise<Result> {
  const whole = log + (await stream(server, log.length));
  const response = await fetch(`${server.url}/api/get?request_id=${key}`);
  const record = (await response.json()) as { status: string; return_value: string };
  return {
    status: record.status,
    value: record.return_value,
    log: whole,
    world: readFileSync(join(home, "world"), "utf8"),
  };
}

async function cleanRun(): Promise<{ readonly result: Result; readonly points: string[] }> {
  const list = join(home, "points");
  const server = await start({ SKYPILOT_FAILPOINT_LIST: list });
  await launch(server);
  const result = await finish(server, "");
  server.process.kill("SIGKILL");
  await once(server.process, "exit");
  return { result, points: readFileSync(list, "utf8").trim().split("\n") };
}

test("killed at every point of every effect, a launch ends as an undisturbed one does", async () => {
  const { result: clean, points } = await cleanRun();
  expect(clean).toMatchObject({ status: "SUCCEEDED", value: '"instance-0,instance-1,instance-2,instance-3"' });
  expect(points).toHaveLength(16);
  for (const point of points) {
    rmSync(home, { recursive: true, force: true });
    home = mkdtempSync(join(tmpdir(), "server-crash-"));
    const first = await start({ SKYPILOT_FAILPOINT: point });
    const died = once(first.process, "exit");
    await launch(first).catch(() => undefined);
    const before = await stream(first, 0);
    expect(await died, point).toEqual([null, "SIGKILL"]);
    const second = await start();
    await launch(second);
    const result = await finish(second, before);
    // The client has every byte once, nothing was made twice, and the result is the same.
    expect(plain(result.log), point).toBe(plain(clean.log));
    expect(result, point).toMatchObject({ status: "SUCCEEDED", value: clean.value });
    expect(result.world.split("\n").toSorted(), point).toEqual(clean.world.split("\n").toSorted());
    const replay = await stream(second, 0);
    expect(replay, point).toBe(result.log);
    second.process.kill("SIGKILL");
    await once(second.process, "exit");
  }
});

test("a request whose answer was lost is there after the restart, and runs once", async () => {
  const first = await start({ SKYPILOT_FAILPOINT: "create:0:1:before-intent" });
  const died = once(first.process, "exit");
  await launch(first).catch(() => undefined);
  await died;
  const second = await start();
  const [one, two] = await Promise.all([finish(second, ""), launch(second)]);
  expect(two).toBeUndefined();
  expect(one.status).toBe("SUCCEEDED");
  expect(one.world.trim().split("\n")).toHaveLength(4);
});

function plain(log: string): string {
  return log
    .split("\n")
    .filter((line) => !line.startsWith("<sky-payload>"))
    .join("\n");
}
