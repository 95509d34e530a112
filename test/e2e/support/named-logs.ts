import { expect } from "vitest";
import type { RunResult } from "./run-program.ts";

/** The logs that an output names ("View logs: sky api logs -l PATH"), read by that command, by the names of their files. */
export async function namedLogs(
  output: string,
  sky: (...args: readonly string[]) => Promise<RunResult>,
): Promise<Readonly<Record<string, string>>> {
  const paths = new Set([...output.matchAll(/sky api logs -l (\S+)/gu)].map(([, path]) => path ?? ""));
  const logs: Record<string, string> = {};
  for (const path of paths) {
    const { exitCode, stdout, stderr } = await sky("api", "logs", "--no-follow", "-l", path);
    expect(exitCode, `${path}: ${stdout}${stderr}`).toBe(0);
    logs[path.split("/").at(-1) ?? ""] = stdout;
  }
  return logs;
}
