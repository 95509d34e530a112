import { spawn } from "node:child_process";
import { signalProcess } from "./process-tree.ts";

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdin?: string;
  readonly timeoutMs?: number;
  /** Called for each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

export interface RunResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
}

export interface RunningProgram {
  readonly pid: number;
  readonly result: Promise<RunResult>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a program with exactly the given environment. It is killed, with its process group, when the time is over. */
export function startProgram(argv: readonly string[], options: RunOptions): RunningProgram {
  const [command = "", ...rest] = argv;
  const started = performance.now();
  const child = spawn(command, rest, { env: options.env, cwd: options.cwd, detached: true, stdio: "pipe" });
  const pid = child.pid ?? 0;
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      options.onOutput?.(text);
    });
  }
  child.stdin.on("error", () => undefined).end(options.stdin ?? "");
  const timeoutMs = options.timeoutMs ?? 120_000;
  const result = new Promise<RunResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      signalProcess(-pid, "SIGKILL");
      reject(new Error(`${argv.join(" ")}: not done after ${timeoutMs} ms\n${output.stdout}\n${output.stderr}`));
    }, timeoutMs);
    child.once("error", reject).once("close", (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ exitCode, signal, ...output, elapsedMs: performance.now() - started });
    });
  });
  // Whoever started it may look at the result late; a rejection before that is not unhandled.
  result.catch(() => undefined);
  return { pid, result, kill: (signal) => signalProcess(pid, signal) };
}

/** Runs a program to its end; a non-zero exit code is a result. Rejects when it takes longer than `timeoutMs` (default 120 s). */
export function runProgram(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  return startProgram(argv, options).result;
}
