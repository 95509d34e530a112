/** Measures files to clusters on machines that are reached by SSH, on a fleet of little hosts; run by itself it prints the table. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import type { RunResult } from "../test/e2e/support/run-program.ts";
import { whyNoFleet } from "../test/fleet/requirements.ts";
import { createSshPool, type SshPool } from "../test/fleet/ssh-pool.ts";
import { atMost, median, renderFigures, type Figure } from "./cli-figures.ts";

const FILES = 10_000;
const FILE_BYTES = 10_000;
const RUNS = 5;
const TIMEOUT_MS = 600_000;

/** Medians of runs that take turns, so that other work of the machine slows both. */
export interface FileTimes {
  /** `sky exec` with a workdir of 10,000 files (100 MB) that no node has, less the same with an empty one. */
  readonly oursMs: number;
  /** `rsync -a` of the same files to one of the hosts. */
  readonly rsyncMs: number;
  /** The same to all hosts, side by side: what copying to several costs where they share the processor with the sender. */
  readonly rsyncToAllMs: number;
  /** As many programs at the same time as there are hosts, each writing as many such files and doing nothing else. */
  readonly writeMs: number;
  /** `sky exec` when all nodes have the files, less the same with an empty workdir. */
  readonly againMs: number;
}

/** Writes files as a node does; what it costs is the kernel's. */
const WRITE = `
const { closeSync, futimesSync, mkdirSync, openSync, writeSync } = require("node:fs");
const content = Buffer.alloc(${FILE_BYTES}, "x");
for (let index = 0; index < ${FILES}; index += 1) {
  const folder = process.argv[1] + "/d" + (index % 100);
  if (index < 100) mkdirSync(folder, { recursive: true });
  const file = openSync(folder + "/f" + index, "wx");
  writeSync(file, content);
  futimesSync(file, 1e9, 1e9);
  closeSync(file);
}`;

/** Text that compresses about as well as source code, and differs from file to file. */
function* texts(): Generator<Buffer, never> {
  const words = readFileSync(new URL("../CHANGELOG.md", import.meta.url), "utf8").split(/\s+/u);
  for (let seed = 1; ;) {
    let text = "";
    while (text.length < FILE_BYTES) {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      text += `${words[seed % words.length] ?? ""} `;
    }
    yield Buffer.from(text).subarray(0, FILE_BYTES);
  }
}

function writeFiles(directory: string): void {
  const contents = texts();
  for (let index = 0; index < FILES; index += 1) {
    const folder = join(directory, `d${index % 100}`);
    if (index < 100) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${index}`), contents.next().value);
  }
}

/** On a pool whose hosts have run nothing yet. */
export async function measureFiles({ sandbox, fleet, hosts }: SshPool): Promise<FileTimes> {
  const nodes = ["--num-nodes", String(hosts.length)];
  const sky = async (...args: readonly string[]): Promise<RunResult> => {
    const result = await sandbox.sky(args, { timeoutMs: TIMEOUT_MS });
    if (result.exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${result.stdout}${result.stderr}`);
    return result;
  };
  const withWorkdir = async (name: string): Promise<number> =>
    (await sky("exec", "c", ...nodes, "--workdir", name, "true")).elapsedMs;
  const many = join(sandbox.work, "many");
  const rsyncTo = async (targets: SshPool["hosts"], directory: string): Promise<number> => {
    const started = performance.now();
    await Promise.all(
      targets.map(async ({ name }) => {
        const argv = ["rsync", "-a", `${many}/`, `${name}:${directory}/`];
        const { exitCode, stderr } = await fleet.run(argv, { env: sandbox.env(), timeoutMs: TIMEOUT_MS });
        if (exitCode !== 0) throw new Error(stderr);
      }),
    );
    return performance.now() - started;
  };
  writeFiles(many);
  mkdirSync(join(sandbox.work, "none"));
  const writeOnly = async (): Promise<number> => {
    const started = performance.now();
    await Promise.all(
      hosts.map(async ({ name }) => {
        const argv = [process.execPath, "-e", WRITE, join(sandbox.root, "written", name)];
        const { exitCode, stderr } = await fleet.run(argv, { timeoutMs: TIMEOUT_MS });
        if (exitCode !== 0) throw new Error(stderr);
      }),
    );
    const elapsedMs = performance.now() - started;
    rmSync(join(sandbox.root, "written"), { recursive: true });
    return elapsedMs;
  };
  await sky("ssh", "up");
  await sky("launch", "-y", "-c", "c", "--infra", "ssh/rack", ...nodes, "true");
  await withWorkdir("none");
  const times: FileTimes[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const none = await withWorkdir("none");
    const ours = await withWorkdir("many");
    const rsyncMs = await rsyncTo(hosts.slice(0, 1), `copy${run}`);
    const rsyncToAllMs = await rsyncTo(hosts, `all${run}`);
    const again = await withWorkdir("many");
    const oursMs = ours - none;
    const writeMs = await writeOnly();
    times.push({ oursMs, rsyncMs, rsyncToAllMs, writeMs, againMs: again - none });
    await sky("exec", "c", ...nodes, "rm -rf ~/sky_workdir/* ~/copy* ~/all*");
    const shown = [
      `${oursMs.toFixed(0)} ms`,
      `rsync ${rsyncMs.toFixed(0)} ms`,
      `to all ${rsyncToAllMs.toFixed(0)} ms`,
      `only written ${writeMs.toFixed(0)} ms`,
    ];
    process.stderr.write(`  ${shown.join(", ")}, load average ${loadavg()[0]?.toFixed(1) ?? ""}\n`);
  }
  return {
    oursMs: median(times.map(({ oursMs }) => oursMs)),
    rsyncMs: median(times.map(({ rsyncMs }) => rsyncMs)),
    rsyncToAllMs: median(times.map((time) => time.rsyncToAllMs)),
    writeMs: median(times.map((time) => time.writeMs)),
    againMs: median(times.map(({ againMs }) => againMs)),
  };
}

/** Rows of the table of figures. */
export function fileFigures(times: FileTimes | undefined): Figure[] {
  const rsyncMs = times?.rsyncMs ?? 0;
  const floor = `four programs that only write 40,000 such files here take ${Math.round(times?.writeMs ?? 0)} ms`;
  return [
    atMost(
      `10,000 files (100 MB) to 4 SSH hosts, against \`rsync\` to one × 1.5 (${floor})`,
      "ms",
      rsyncMs * 1.5,
      times?.oursMs,
    ),
    atMost("the same, against four `rsync` side by side", "ms", times?.rsyncToAllMs ?? 0, times?.oursMs),
    atMost("the same when the hosts have them, against that `rsync`", "ms", rsyncMs, times?.againMs),
  ];
}

if (import.meta.main) {
  const reason = whyNoFleet();
  if (reason !== undefined) throw new Error(`SSH hosts cannot be made here: ${reason}.`);
  const pool = await createSshPool(Array.from({ length: 4 }, (_, index) => ({ name: `n${index}` })));
  try {
    await pool.sandbox.startServer();
    process.stdout.write(`${renderFigures(fileFigures(await measureFiles(pool)))}\n`);
  } finally {
    await pool.dispose();
  }
}
