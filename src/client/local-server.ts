import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Env } from "../platform/env.ts";
import { isSet } from "../platform/env.ts";
import { skyPaths, type SkyPaths } from "../platform/paths.ts";
import { isAlive } from "../platform/process-identity.ts";
import type { Clock } from "../shared/clock.ts";
import { ApiServerConnectionError } from "../shared/errors.ts";
import { SERVER_NODE_FLAGS, serverEnvironment } from "../platform/server-flags.ts";

export interface LocalServerOptions {
  readonly env: Env;
  readonly home: string;
  readonly clock: Clock;
  /** Any file or folder of this package; the server's bundle is looked for from there upwards. */
  readonly packageDir: string;
  /** Asks the health endpoint: `refused` when nothing listens, `slow` when there is no answer in time. */
  readonly probe: () => Promise<"healthy" | "refused" | "slow">;
  readonly host?: string;
  readonly port: number;
  readonly extraArgs?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

/** Starts the local API server unless one answers; returns when it is healthy. Two clients that start at once start one server. */
export async function startLocalServer(options: LocalServerOptions): Promise<"started" | "running"> {
  if (isSet(options.env, "SKYPILOT_DISABLE_LOCAL_API_SERVER")) {
    throw new ApiServerConnectionError(
      "No SkyPilot API server endpoint is configured, and starting a local API server on this machine is disabled (SKYPILOT_DISABLE_LOCAL_API_SERVER=1).",
      { hint: "to connect to a SkyPilot API server, run: sky api login -e <endpoint>" },
    );
  }
  const paths = skyPaths(options.home);
  mkdirSync(paths.state, { recursive: true, mode: 0o700 });
  const deadline = options.clock.now() + START_TIMEOUT_MS;
  while (true) {
    const lock = takeLock(paths.serverLock);
    if (lock !== undefined) {
      try {
        if ((await options.probe()) === "healthy") return "running";
        await spawnServer(options, paths, deadline);
        return "started";
      } finally {
        closeSync(lock);
        rmSync(paths.serverLock, { force: true });
      }
    }
    if ((await options.probe()) === "healthy") return "running";
    if (options.clock.now() > deadline) throw notHealthy(options.port, paths);
    await options.clock.sleep(POLL_MS, signalOf(options));
  }
}

function signalOf(options: LocalServerOptions): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

/** An exclusive file that names its owner; one left by a dead process is taken over. */
function takeLock(path: string): number | undefined {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const fd = openSync(path, "wx", 0o600);
      writeSync(fd, String(process.pid));
      return fd;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (!isAbandoned(path)) return undefined;
      rmSync(path, { force: true });
    }
  }
  return undefined;
}

function isAbandoned(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    if (pid > 0) return !isAlive(pid);
    // The owner has not written its pid yet, or died before it could.
    return Date.now() - statSync(path).mtimeMs > 5000;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

async function spawnServer(options: LocalServerOptions, paths: SkyPaths, deadline: number): Promise<void> {
  const entry = findServerEntry(options.packageDir);
  const log = openSync(paths.serverLog, "a", 0o600);
  const start = statSync(paths.serverLog).size;
  let ended: string | undefined;
  try {
    const args = [
      ...SERVER_NODE_FLAGS,
      entry,
      `--host=${options.host ?? "127.0.0.1"}`,
      `--port=${options.port}`,
      ...(options.extraArgs ?? []),
    ];
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: options.home,
      env: serverEnvironment(options.env),
    });
    child.once("exit", (code, signal) => (ended = signal === null ? `with exit code ${code}` : `by ${signal}`));
    child.once("error", (error) => (ended = `before it ran (${error.message})`));
    child.unref();
  } finally {
    closeSync(log);
  }
  while ((await options.probe()) !== "healthy") {
    if (ended !== undefined) {
      throw new ApiServerConnectionError(
        `The local SkyPilot API server ended ${ended} while starting.${tailOf(paths.serverLog, start)}`,
        { hint: `its whole log is ${paths.serverLog}` },
      );
    }
    if (options.clock.now() > deadline) throw notHealthy(options.port, paths, start);
    await options.clock.sleep(POLL_MS, signalOf(options));
  }
}

function notHealthy(port: number, paths: SkyPaths, start = 0): ApiServerConnectionError {
  const seconds = START_TIMEOUT_MS / 1000;
  return new ApiServerConnectionError(
    `The local SkyPilot API server did not answer on port ${port} within ${seconds} s.${tailOf(paths.serverLog, start)}`,
    { hint: `its whole log is ${paths.serverLog}` },
  );
}

/** The last lines that the server wrote since `start`, each indented; empty when there are none. */
function tailOf(path: string, start: number): string {
  if (!existsSync(path)) return "";
  const text = readFileSync(path).subarray(start).toString("utf8").trimEnd();
  if (text === "") return "";
  const lines = text.split("\n").slice(-15);
  return `\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/** Finds the server's bundle above a folder of this package. Throws when the package is not built. */
export function findServerEntry(packageDir: string): string {
  let dir = packageDir;
  for (let level = 0; level < 6; level += 1) {
    for (const candidate of [join(dir, "server", "main.mjs"), join(dir, "dist", "server", "main.mjs")]) {
      if (existsSync(candidate)) return candidate;
    }
    dir = dirname(dir);
  }
  throw new ApiServerConnectionError("The bundle of the API server is missing from this installation.", {
    hint: "in a clone, run: npm run build",
  });
}
