import { median } from "./cli-figures.ts";
import { spawn } from "node:child_process";
import { plainText } from "../test/e2e/support/plain-text.ts";
import type { World } from "./cli-measure.ts";
import type { OurServer } from "./cli-worlds.ts";

/** Milliseconds from starting a command of our CLI to the first output line that holds `mark`; the command is run to its end. */
async function firstLineMs(server: OurServer, world: World, args: readonly string[], mark: string): Promise<number> {
  const { sandbox } = server;
  const [command = "", ...rest] = [...world.sky, ...args];
  const started = performance.now();
  const child = spawn(command, rest, { env: sandbox.env(), cwd: sandbox.work, stdio: ["ignore", "pipe", "pipe"] });
  let seen = "";
  let firstMs: number | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    seen += text;
    if (firstMs === undefined && plainText(seen).includes(`) ${mark}\n`)) firstMs = performance.now() - started;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (seen += text));
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (exitCode !== 0 || firstMs === undefined)
    throw new Error(`sky ${args.join(" ")} ended with ${exitCode}:\n${seen}`);
  return firstMs;
}

export interface FirstLines {
  readonly launchMs: number;
  readonly execMs: number;
}

/** `sky launch` of a hello task on a new cluster and `sky exec` on it: command to first line of the job's output (medians). */
export async function measureFirstLines(server: OurServer, world: World, runs: number): Promise<FirstLines> {
  const launches: number[] = [];
  const execs: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const cluster = `hello-${run}`;
    launches.push(await firstLineMs(server, world, ["launch", "-y", "-c", cluster, "echo hello"], "hello"));
    execs.push(await firstLineMs(server, world, ["exec", cluster, "echo again"], "again"));
    await world.run([...world.sky, "down", "-y", cluster]);
  }
  return { launchMs: median(launches), execMs: median(execs) };
}
