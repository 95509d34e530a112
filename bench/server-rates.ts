/**
 * Rates of our built API server alone, quick to run while working on it; BENCHMARKS.md comes from `bench/main.ts`. Prints one JSON
 * line per figure. `node bench/server-rates.ts [seconds]`
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SERVER_NODE_FLAGS, serverEnvironment } from "../src/platform/server-flags.ts";

const seconds = process.argv[2] ?? "3";
const port = 20_000 + Math.floor(Math.random() * 20_000);
const home = mkdtempSync(join(tmpdir(), "server-rates-"));
const entry = fileURLToPath(new URL("../dist/server/main.mjs", import.meta.url));
const generator = fileURLToPath(new URL("reference-load.ts", import.meta.url));

function isHealthy(): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host: "127.0.0.1", port, path: "/api/health" }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).on("error", () => resolve(false));
  });
}

function residentMib(pid: number | undefined): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kib) / 1024);
}

async function load(kind: string, clients: number): Promise<unknown> {
  const child = spawn(process.execPath, [generator, String(port), kind, String(clients), seconds], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  await once(child, "close");
  return JSON.parse(output);
}

const startedAt = performance.now();
const server = spawn(process.execPath, [...SERVER_NODE_FLAGS, entry, `--port=${port}`], {
  env: serverEnvironment({ PATH: process.env["PATH"] ?? "", HOME: home }),
  stdio: ["ignore", "ignore", "inherit"],
});
try {
  while (!(await isHealthy())) await new Promise((resolve) => setTimeout(resolve, 2));
  console.log(JSON.stringify({ what: "start to first healthy answer", ms: Math.round(performance.now() - startedAt) }));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(JSON.stringify({ what: "resident, idle", mib: residentMib(server.pid) }));
  for (const clients of [1, 8, 32]) {
    console.log(JSON.stringify({ what: "GET /api/health", clients, result: await load("health", clients) }));
  }
  console.log(JSON.stringify({ what: "POST /status + /api/get", clients: 32, result: await load("status", 32) }));
  console.log(JSON.stringify({ what: "resident, after 32 clients", mib: residentMib(server.pid) }));
} finally {
  server.kill("SIGKILL");
  await once(server, "exit");
  rmSync(home, { recursive: true, force: true });
}
