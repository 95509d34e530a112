import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, watch } from "node:fs";
import { chmod, copyFile, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { agentSocket } from "../../shared/agent/socket-path.ts";
import { AgentNotRunningError } from "../../shared/errors.ts";
import { toFileError } from "./file-errors.ts";
import { AGENT_OUTPUT, type AgentPlan, type RunOptions, type RunResult, type Runner } from "../../core/ports/runner.ts";

export interface LocalRunnerOptions {
  /** The whole environment of programs on the node. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** Acts on this machine directly. */
export function createLocalRunner(node: LocalRunnerOptions): Runner {
  return {
    run: (argv, options = {}) => run(argv, node, options),
    startAgent: (plan, options = {}) => startAgent(plan, node, options),
    connectAgent: (root, options = {}) => connectAgent(root, options),
    close: () => Promise.resolve(),
  };
}

function run(argv: readonly string[], node: LocalRunnerOptions, options: RunOptions): Promise<RunResult> {
  const [program = "", ...args] = argv;
  const signals = [
    options.signal,
    options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs),
  ];
  const signal = AbortSignal.any(signals.filter((one) => one !== undefined));
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? node.cwd,
      env: { ...node.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      signal,
      killSignal: "SIGKILL",
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.on("error", reject);
    child.on("close", (code, killedBy) => {
      if (signal.aborted) return;
      const exitCode = code ?? (killedBy === null ? 1 : 128);
      resolve({ exitCode, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
    // A program that does not read its input closes the pipe; its exit code says what matters.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.stdin ?? "");
  });
}

async function startAgent(
  plan: AgentPlan,
  node: LocalRunnerOptions,
  options: { readonly signal?: AbortSignal },
): Promise<void> {
  const program = join(plan.installDir, plan.bundle.hash, "agent.cjs");
  const files: readonly PlacedFile[] = [
    { dest: program, mode: 0o644, source: { path: plan.bundle.path } },
    { dest: join(plan.root, "node.json"), mode: 0o600, source: { bytes: plan.config } },
  ];
  for (const file of files) {
    options.signal?.throwIfAborted();
    await place(file).catch((error: unknown) => {
      throw toFileError(error, dirname(file.dest));
    });
  }
  const command = [process.execPath, program, "daemon", "--root", plan.root];
  await startDetached(command, node, join(plan.root, AGENT_OUTPUT));
}

/** Starts a program that outlives us: a session of its own, no open pipes, its output appended to a file. */
async function startDetached(argv: readonly string[], node: LocalRunnerOptions, logFile: string): Promise<void> {
  const [program = "", ...args] = argv;
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  const log = openSync(logFile, "a", 0o600);
  try {
    const child = spawn(program, args, {
      cwd: node.cwd,
      env: node.env,
      detached: true,
      stdio: ["ignore", log, log],
    });
    await spawned(child);
    child.unref();
  } finally {
    closeSync(log);
  }
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
}

/** A file from a path, or from bytes. */
interface PlacedFile {
  readonly dest: string;
  readonly mode: number;
  readonly source: { readonly path: string } | { readonly bytes: Uint8Array };
}

/** Writes under a temporary name and renames. What comes from a path is not copied again. */
async function place(file: PlacedFile): Promise<void> {
  if ("path" in file.source && (await isSame(file.source.path, file.dest))) return;
  await mkdir(dirname(file.dest), { recursive: true, mode: 0o700 });
  const temporary = `${file.dest}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    if ("path" in file.source) {
      await copyFile(file.source.path, temporary);
      await chmod(temporary, file.mode);
    } else {
      await writeFile(temporary, file.source.bytes, { mode: file.mode, flag: "wx" });
    }
    await rename(temporary, file.dest);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** A copy is made under a name of its own and then renamed, so one of the same size is whole. */
async function isSame(source: string, dest: string): Promise<boolean> {
  const there = await stat(dest).catch(() => undefined);
  if (there === undefined) return false;
  const here = await stat(source);
  return there.size === here.size && there.mtimeMs >= here.mtimeMs;
}

async function connectAgent(
  root: string,
  options: { readonly waitMs?: number; readonly signal?: AbortSignal },
): Promise<Duplex> {
  options.signal?.throwIfAborted();
  const { path: socketPath, privateDirectory } = agentSocket(root, process.getuid?.() ?? 0);
  try {
    return await connectSocket(socketPath);
  } catch (error) {
    if (options.waitMs === undefined || options.waitMs <= 0) throw notListening(root, error);
  }
  // It must exist to be watched; whoever comes first makes it.
  if (privateDirectory !== undefined) mkdirSync(privateDirectory, { recursive: true, mode: 0o700 });
  return waitForAgent(root, socketPath, options);
}

/** Waits for the socket to appear, and a moment more, because a socket is there before its owner listens. */
function waitForAgent(
  root: string,
  socketPath: string,
  options: { readonly waitMs?: number; readonly signal?: AbortSignal },
): Promise<Duplex> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    let isBusy = false;
    let isAgain = false;
    const attempt = async (): Promise<void> => {
      isAgain = true;
      if (isBusy) return;
      isBusy = true;
      while (isAgain) {
        isAgain = false;
        const socket = await connectSocket(socketPath).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") setTimeout(() => void attempt(), 2);
          return undefined;
        });
        if (socket === undefined) continue;
        if (watcher.signal.aborted) socket.destroy();
        else finish(() => resolve(socket));
      }
      isBusy = false;
    };
    const watcher = new AbortController();
    const timer = setTimeout(() => finish(() => reject(notListening(root))), options.waitMs);
    const finish = (settle: () => void): void => {
      if (watcher.signal.aborted) return;
      watcher.abort();
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = (): void => finish(() => reject(signal?.reason as Error));
    signal?.addEventListener("abort", onAbort, { once: true });
    const events = watch(dirname(socketPath), { signal: watcher.signal }, () => void attempt());
    events.on("error", (error) => finish(() => reject(error)));
    // It may have appeared between the first attempt and the watch.
    void attempt();
  });
}

function connectSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

function notListening(root: string, cause?: unknown): AgentNotRunningError {
  return new AgentNotRunningError(`No agent listens in ${root}.`, cause === undefined ? {} : { cause });
}
