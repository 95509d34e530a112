/** Runs a command line in this process, with a home of its own, and collects what it prints. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LineInput, Output } from "../../src/cli/context.ts";
import { runCli } from "../../src/cli/run.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { systemClock } from "../../src/shared/clock.ts";
import type { WireServer } from "./wire-server.ts";

export interface RunOptions {
  readonly server?: WireServer;
  readonly env?: Readonly<Record<string, string>>;
  /** Answers to questions, in order. */
  readonly answers?: readonly string[];
  readonly home?: string;
  readonly cwd?: string;
  /** Epoch seconds that the clock shows. */
  readonly now?: number;
  readonly signal?: AbortSignal;
  readonly tty?: boolean;
}

export interface RunResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A directory that lasts as long as the callback. */
export async function withHome<T>(use: (home: string) => Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), "sky-test-"));
  try {
    return await use(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

export async function sky(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  if (options.home !== undefined) return await run(argv, options, options.home);
  return await withHome((home) => run(argv, options, home));
}

async function run(argv: readonly string[], options: RunOptions, home: string): Promise<RunResult> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const server = options.server === undefined ? {} : { SKYPILOT_API_SERVER_ENDPOINT: options.server.url };
  const code = await runCli(argv, {
    env: {
      HOME: home,
      USER: "alice",
      SKYPILOT_USER_ID: "abcd1234",
      SKYPILOT_DISABLE_LOCAL_API_SERVER: "1",
      ...server,
      ...options.env,
    },
    cwd: options.cwd ?? home,
    home,
    out: collector(out, options.tty ?? false),
    err: collector(err, options.tty ?? false),
    input: answering(options.answers ?? []),
    clock: clockAt(options.now),
    signal: options.signal ?? new AbortController().signal,
    packageDir: home,
  });
  return { code, out: Buffer.concat(out).toString("utf8"), err: Buffer.concat(err).toString("utf8") };
}

function collector(chunks: Buffer[], isTTY: boolean): Output {
  return {
    write: (text) => {
      chunks.push(Buffer.from(text));
      return true;
    },
    isTTY,
    columns: 80,
    drained: () => Promise.resolve(),
  };
}

function answering(answers: readonly string[]): LineInput {
  const left = [...answers];
  return { readLine: () => Promise.resolve(left.shift()) };
}

function clockAt(now: number | undefined): Clock {
  return now === undefined ? systemClock : { ...systemClock, now: () => now * 1000 };
}
