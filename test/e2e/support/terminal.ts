import { spawnSync } from "node:child_process";
import { runProgram, type RunOptions, type RunResult } from "./run-program.ts";

/** Whether commands can be run at a terminal here. */
export function hasTerminal(): boolean {
  return spawnSync("script", ["--version"], { stdio: "ignore" }).status === 0;
}

/** Runs a program at a terminal of its own (`script` of util-linux); what it shows is in `stdout`. */
export function runAtTerminal(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const command = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return runProgram(["script", "--quiet", "--return", "--command", command, "/dev/null"], options);
}
