import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFailpoints } from "../core/effect.ts";
import { openDatabase, type OpenDatabase } from "../db/database.ts";
import { acquireFileLock, type FileLock } from "../platform/lock-file.ts";
import { homeOf, loginName } from "../platform/paths.ts";
import { findRunningServer, removeServerPidFile, writeServerPidFile } from "../platform/server-pid-file.ts";
import { serverPaths, type ServerPaths } from "../platform/server-paths.ts";
import { loadUserHash } from "../platform/user-hash.ts";
import { systemClock } from "../shared/clock.ts";
import { OperationFailedError, SkyError } from "../shared/errors.ts";
import { isLoopbackHost, parseServerArgs, type ServerArgs } from "./args.ts";
import type { RunningServer } from "./compose.ts";
import type { AccessPolicy } from "./guard.ts";
import { listen } from "./listener.ts";
import { createServerIdentity } from "./server-identity.ts";
import { loadToken } from "./token.ts";

const { env } = process;
const DEFAULT_UPLOAD_BYTES = 100 * 1024 ** 3;
/** Requests that run at the same time. They wait for the network most of the time; the short ones never wait for the long. */
const LIMITS = { long: 64, short: 64 };

async function main(): Promise<void> {
  const args = parseServerArgs(process.argv.slice(2));
  const home = homeOf(env);
  const paths = serverPaths(home, env["SKY_RUNTIME_DIR"]);
  mkdirSync(paths.root, { recursive: true, mode: 0o700 });
  chmodSync(paths.root, 0o700);
  const lock = lockState(paths);
  const database = await openDatabase(locateDatabase(paths));
  const isLoopback = isLoopbackHost(args.host);
  const policy: AccessPolicy = {
    isLoopback,
    allowedHosts: listOf(env["SKYPILOT_SERVER_ALLOWED_HOSTS"]),
    token: isLoopback ? undefined : loadToken(paths.tokenFile, env["SKYPILOT_SERVER_TOKEN"]),
  };
  const composed = Promise.withResolvers<RunningServer>();
  const { server, port } = await listen({
    host: args.host,
    port: args.port,
    policy,
    handler: composed.promise.then((running) => running.handler),
    upgrade: composed.promise.then((running) => running.upgrade),
  });
  nameProcess(port);
  writeServerPidFile(paths.pidFile, port);
  const running = await compose({ paths, database, policy });
  composed.resolve(running);
  const stop = stopOnce({ running, database, paths, lock, close: () => server.closeAllConnections() });
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  server.on("error", fail);
  process.stdout.write(`${JSON.stringify({ msg: "listening", host: args.host, port, pid: process.pid })}\n`);
  describeDeployment(args, paths);
}

/** Loads what the health check does not need, after the first health check can be answered. */
async function compose(parts: {
  readonly paths: ServerPaths;
  readonly database: OpenDatabase;
  readonly policy: AccessPolicy;
}): Promise<RunningServer> {
  const [{ composeServer }, { createLogger }, { loadSealer }] = await Promise.all([
    import("./compose.ts"),
    import("../platform/logger.ts"),
    import("./requests/sealer.ts"),
  ]);
  const { paths } = parts;
  const logger = createLogger(env["SKYPILOT_DEBUG"] === "1" ? "debug" : "info");
  process.on("unhandledRejection", (error) => logger.error({ err: error }, "unhandled rejection"));
  const failpoints = createFailpoints({
    ...(env["SKYPILOT_FAILPOINT"] === undefined ? {} : { killAt: env["SKYPILOT_FAILPOINT"] }),
    ...(env["SKYPILOT_FAILPOINT_LIST"] === undefined ? {} : { listFile: env["SKYPILOT_FAILPOINT_LIST"] }),
  });
  return composeServer({
    ...parts,
    sealer: loadSealer(paths.keyFile, env["SKYPILOT_SERVER_KEY"]),
    clock: systemClock,
    logger,
    self: { userId: loadUserHash(env, paths.home), userName: loginName(env) },
    owner: createServerIdentity(paths.idFile),
    configPath: env["SKYPILOT_GLOBAL_CONFIG"] ?? join(paths.home, ".sky", "config.yaml"),
    skyProgram: [process.execPath, fileBeside("../../bin/sky.cjs", "../../bin/sky.cjs")],
    agentBundle: fileBeside("../agent/agent.cjs", "../../dist/agent/agent.cjs"),
    catalogSnapshots: fileBeside("../catalog", "../catalog/snapshots"),
    env,
    limits: LIMITS,
    maxUploadBytes: Number(env["SKYPILOT_MAX_UPLOAD_TOTAL_BYTES"]) || DEFAULT_UPLOAD_BYTES,
    ...(failpoints === undefined ? {} : { passFailpoint: failpoints }),
  });
}

/** Two servers on one data directory would write over each other. */
function lockState(paths: ServerPaths): FileLock {
  const lock = acquireFileLock(paths.lockFile);
  if (lock !== undefined) return lock;
  const other = findRunningServer(paths.pidFile);
  const who = other === undefined ? "Another API server" : `The API server with pid ${other.pid} (port ${other.port})`;
  throw new OperationFailedError(`${who} already uses ${paths.root}.`, {
    hint: "Stop it with `sky api stop`, or give this one another directory with SKY_RUNTIME_DIR.",
  });
}

function locateDatabase(paths: ServerPaths): { sqlite: string } | { postgres: string } {
  const url = env["SKYPILOT_DB_CONNECTION_URI"];
  return url === undefined || url === "" ? { sqlite: paths.stateFile } : { postgres: url };
}

/** What the server reads at run time lies beside its bundle; run from the sources, it has another place. */
function fileBeside(bundled: string, source: string): string {
  return fileURLToPath(new URL(import.meta.url.endsWith(".mjs") ? bundled : source, import.meta.url));
}

/** `sky api status` of the official client looks for this text in the command lines of all processes. */
function nameProcess(port: number): void {
  if (process.argv.includes("sky.server.server")) return;
  const script = import.meta.url.split("/").slice(-2).join("/");
  process.title = `-m sky.server.server --port=${port} ${script}`;
}

function stopOnce(parts: {
  readonly running: RunningServer;
  readonly database: OpenDatabase;
  readonly paths: ServerPaths;
  readonly lock: FileLock;
  readonly close: () => void;
}): () => void {
  let isStopping = false;
  return () => {
    if (isStopping) process.exit(130);
    isStopping = true;
    const graceMs = Number(env["SKYPILOT_GRACE_PERIOD_SECONDS"] ?? 60) * 1000;
    parts.running
      .close({ graceMs })
      .then(async () => {
        parts.close();
        await parts.database.close();
        removeServerPidFile(parts.paths.pidFile);
        parts.lock.release();
        process.exit(0);
      })
      .catch(fail);
  };
}

function describeDeployment(args: ServerArgs, paths: ServerPaths): void {
  if (isLoopbackHost(args.host)) return;
  process.stdout.write(`${JSON.stringify({ msg: "clients need the bearer token", tokenFile: paths.tokenFile })}\n`);
}

function listOf(text: string | undefined): string[] {
  return (text ?? "").split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim().toLowerCase()]));
}

function fail(error: unknown): void {
  if (error instanceof SkyError) {
    process.stderr.write(`error: ${error.message}\n${error.hint === undefined ? "" : `hint: ${error.hint}\n`}`);
    process.exit(error.exitCode);
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}

await main().catch(fail);
