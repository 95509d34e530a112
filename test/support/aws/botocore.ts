import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface BotocoreCase {
  readonly env: Readonly<Record<string, string>>;
  readonly profile?: string;
  /** A file to parse, instead of finding credentials. */
  readonly parse?: string;
}

const SCRIPT = fileURLToPath(new URL("botocore_reading.py", import.meta.url));

/** Lets botocore read every case in one process; answers in the order of the cases. */
export function readWithBotocore(python: string, cases: readonly BotocoreCase[], home: string): unknown[] {
  const run = spawnSync(python, [SCRIPT], {
    input: cases.map((entry) => `${JSON.stringify(entry)}\n`).join(""),
    env: { HOME: home, PATH: process.env["PATH"], LC_ALL: "C.UTF-8" },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status !== 0) throw new Error(`botocore ended with ${String(run.status)}: ${run.stderr}`);
  return run.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}
