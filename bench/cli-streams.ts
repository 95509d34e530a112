import { spawn } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, statSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { waitFor } from "../test/e2e/support/wait-for.ts";
import type { World } from "./cli-measure.ts";
import type { OurServer } from "./cli-worlds.ts";

const CLUSTER = "bench-0000";
const HEADERS = {
  "X-SkyPilot-API-Version": "62",
  "X-SkyPilot-Version": "0.14.1",
  "Content-Type": "application/json",
};
const CALLER = { env_vars: { SKYPILOT_USER_ID: "b0b0b0b0", SKYPILOT_USER: "bench" } };

interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly agent: Agent;
  readonly onData?: (piece: Buffer) => void;
}

/** One HTTP call; resolves with the request id and the text when the answer has ended. Rejects for a status other than 200. */
function call(world: World, { method, path, body, agent, onData }: Call): Promise<{ id: string; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", port: world.port, method, path, headers: HEADERS, agent },
      (answer) => {
        let text = "";
        answer.on("data", (piece: Buffer) => {
          if (onData === undefined) text += piece.toString();
          else onData(piece);
        });
        answer.once("error", reject).once("end", () => {
          if (answer.statusCode !== 200) reject(new Error(`${path}: ${answer.statusCode} ${text}`));
          else resolve({ id: String(answer.headers["x-skypilot-request-id"]), text });
        });
      },
    );
    outgoing.once("error", reject).end(body === undefined ? undefined : JSON.stringify({ ...CALLER, ...body }));
  });
}

async function submit(world: World, agent: Agent, run: string): Promise<number> {
  const task = `name: job\n---\nname: job\nrun: ${JSON.stringify(run)}\n`;
  const { id } = await call(world, { method: "POST", path: "/exec", agent, body: { task, cluster_name: CLUSTER } });
  const { text } = await call(world, { method: "GET", path: `/api/get?request_id=${id}`, agent });
  const payload = JSON.parse(text) as { return_value: string };
  return (JSON.parse(payload.return_value) as { job_id: number }).job_id;
}

/** Jobs per second of `count` jobs `true`: from the first submission to the API server until the last one's log has ended. */
export async function measureJobs(world: World, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const started = performance.now();
  const ids = await Promise.all(Array.from({ length: count }, () => submit(world, agent, "true")));
  const last = Math.max(...ids);
  const follow = { cluster_name: CLUSTER, job_id: last, follow: true, tail: 1 };
  await call(world, { method: "POST", path: "/logs", agent, body: follow, onData: () => undefined });
  await waitFor(
    "every job to end",
    async () => {
      const body = { cluster_name: CLUSTER, skip_finished: true, all_users: true };
      const { id } = await call(world, { method: "POST", path: "/queue", agent, body });
      const { text } = await call(world, { method: "GET", path: `/api/get?request_id=${id}`, agent });
      return (JSON.parse(text) as { return_value: string }).return_value === "[]";
    },
    { timeoutMs: 300_000 },
  );
  const elapsedMs = performance.now() - started;
  agent.destroy();
  return (count * 1000) / elapsedMs;
}

function runLogOf(home: string, jobId: number): string {
  const local = join(home, ".sky/local");
  const found = readdirSync(local, { recursive: true, encoding: "utf8" }).find((path) =>
    new RegExp(`/sky_logs/${jobId}-[^/]*/run\\.log$`, "u").test(path),
  );
  if (found === undefined) throw new Error(`Job ${jobId} has no run.log below ${local}.`);
  return join(local, found);
}

async function hashFile(path: string): Promise<{ hash: string; bytes: number }> {
  const hash = createHash("md5");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return { hash: hash.digest("hex"), bytes: statSync(path).size };
}

function rssMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

export interface StreamFigures {
  readonly mbPerSecond: number;
  readonly serverGrowthMib: number;
}

/** Streams the log of a finished job of about 1 GB by our CLI; throws when a byte differs from the node's file. */
export async function measureBigLog(server: OurServer, world: World, megabytes: number): Promise<StreamFigures> {
  const agent = new Agent({ keepAlive: true });
  const jobId = await submit(world, agent, `yes ${"x".repeat(83)} | head -c ${megabytes}000000`);
  await call(world, {
    method: "POST",
    path: "/logs",
    agent,
    body: { cluster_name: CLUSTER, job_id: jobId, follow: true, tail: 1 },
    onData: () => undefined,
  });
  agent.destroy();
  const expected = await hashFile(runLogOf(server.sandbox.home, jobId));
  const serverPid = server.sandbox.serverProcesses()[0]?.pid ?? 0;
  const before = rssMib(serverPid);
  let peak = before;
  const [command = "", ...prefix] = world.sky;
  const rest = [...prefix, "logs", CLUSTER, String(jobId), "--tail", "0", "--no-follow"];
  const started = performance.now();
  const child = spawn(command, rest, { env: server.sandbox.env(), stdio: ["ignore", "pipe", "ignore"] });
  const hash: Hash = createHash("md5");
  let bytes = 0;
  const sampling = setInterval(() => (peak = Math.max(peak, rssMib(serverPid))), 50);
  try {
    for await (const piece of child.stdout) {
      // After the file's bytes comes the closing line, which is not in the file.
      const part = (piece as Buffer).subarray(0, Math.max(0, expected.bytes - bytes));
      hash.update(part);
      bytes += part.length;
    }
  } finally {
    clearInterval(sampling);
  }
  const seconds = (performance.now() - started) / 1000;
  if (hash.digest("hex") !== expected.hash) throw new Error(`${bytes} bytes of ${expected.bytes} came, or other ones.`);
  return { mbPerSecond: bytes / 1e6 / seconds, serverGrowthMib: peak - before };
}

/** p99 in milliseconds of a health request every 5 ms while `followers` clients follow a job that writes ten lines a second. */
export async function measureFollowers(world: World, followers: number, seconds: number): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const jobId = await submit(world, agent, `for i in $(seq ${seconds * 10}); do echo tick $i; sleep 0.1; done`);
  const streams = new Agent({ keepAlive: true, maxSockets: Infinity });
  const body = { cluster_name: CLUSTER, job_id: jobId, follow: true, tail: 0 };
  const over = new AbortController();
  const following = Promise.all(
    Array.from({ length: followers }, async () => {
      let text = "";
      const onData = (piece: Buffer): void => void (text += piece.toString());
      await call(world, { method: "POST", path: "/logs", agent: streams, body, onData });
      if (!text.includes(`tick ${seconds * 10}\n`)) throw new Error("A follower missed the last line.");
    }),
  ).finally(() => over.abort());
  const latencies: number[] = [];
  while (!over.signal.aborted) {
    const from = performance.now();
    await call(world, { method: "GET", path: "/api/health", agent });
    latencies.push(performance.now() - from);
    await delay(5);
  }
  await following;
  streams.destroy();
  agent.destroy();
  return latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? 0;
}
