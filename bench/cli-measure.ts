import type { RunOptions, RunResult } from "../test/e2e/support/run-program.ts";

/** A product in its own HOME with its server: ours or the original, measured by the same code. */
export interface World {
  readonly name: "ours" | "original";
  readonly port: number;
  readonly sky: readonly string[];
  readonly startMs: number;
  readonly run: (argv: readonly string[], options?: Partial<RunOptions>) => Promise<RunResult>;
  /** Resident memory of all server processes together. */
  readonly residentBytes: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

export interface ProcessFigures {
  readonly medianMs: number;
  readonly minMs: number;
  readonly peakMib: number;
}

// wait4 gives the peak memory of exactly this child; Node has no such call.
const MEASURE = `
import json, os, sys, time
times, peak = [], 0
for _ in range(int(sys.argv[1])):
    t = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, '/dev/null', os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    times.append((time.perf_counter() - t) * 1000)
    peak = max(peak, usage.ru_maxrss / 1024)
    if status != 0: sys.exit('exit status %d' % status)
times.sort()
print(json.dumps({'medianMs': times[len(times) // 2], 'minMs': times[0], 'peakMib': peak}))
`;

/** Runs a command of the world's CLI a number of times, one after the other; throws when one of them fails. */
export async function measureCommand(
  world: World,
  args: readonly string[],
  options: { readonly runs: number; readonly python: string },
): Promise<ProcessFigures> {
  const argv = [options.python, "-c", MEASURE, String(options.runs), ...world.sky, ...args];
  const result = await world.run(argv, { timeoutMs: 600_000 });
  if (result.exitCode !== 0) throw new Error(`${world.name}: sky ${args.join(" ")}: ${result.stderr}`);
  return JSON.parse(result.stdout) as ProcessFigures;
}

export interface LoadFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answerBytes: number;
}

/** Puts load on the world's server by a process of its own. */
export async function measureLoad(
  world: World,
  mode: "health" | "status",
  options: { readonly clients: number; readonly seconds: number },
): Promise<LoadFigures> {
  const script = new URL("reference-load.ts", import.meta.url).pathname;
  const argv = [process.execPath, script, String(world.port), mode, String(options.clients), String(options.seconds)];
  const result = await world.run(argv, { timeoutMs: 600_000 });
  if (result.exitCode !== 0) throw new Error(`${world.name}: ${mode} load: ${result.stderr}`);
  return JSON.parse(result.stdout) as LoadFigures;
}

/**
 * Requests per second that `GET /api/health` answers. By `wrk`, where it is installed, because a generator in JavaScript costs as
 * much as our server; otherwise by our own.
 */
export async function measureHealth(
  world: World,
  options: { readonly clients: number; readonly seconds: number },
): Promise<number> {
  const { clients, seconds } = options;
  const argv = ["wrk", "-t1", `-c${clients}`, `-d${seconds}s`, `http://127.0.0.1:${world.port}/api/health`];
  try {
    const { stdout, exitCode } = await world.run(argv, { timeoutMs: 120_000 });
    const rate = /Requests\/sec:\s+([\d.]+)/u.exec(stdout)?.[1];
    if (exitCode === 0 && rate !== undefined && !stdout.includes("Non-2xx")) return Number(rate);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOENT") throw error;
  }
  return (await measureLoad(world, "health", options)).perSecond;
}
