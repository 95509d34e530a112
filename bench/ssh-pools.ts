/** Measures clusters on machines that are reached by SSH, on a fleet of little hosts; run by itself it prints the table. */
import { plainText } from "../test/e2e/support/plain-text.ts";
import type { RunResult } from "../test/e2e/support/run-program.ts";
import type { Sandbox } from "../test/e2e/support/sandbox.ts";
import { whyNoFleet } from "../test/fleet/requirements.ts";
import { createSshPool, type SshPool } from "../test/fleet/ssh-pool.ts";
import { atMost, median, renderFigures, type Figure } from "./cli-figures.ts";
import { fileFigures, measureFiles, type FileTimes } from "./ssh-files.ts";

const MANY = 50;

export interface SshFigures {
  /** `sky ssh up` and then `sky launch` on 3 hosts that have nothing yet, to the first line of rank 2. */
  readonly freshMs: number;
  /** The same on hosts that have run a cluster before. */
  readonly warmMs: number;
  readonly execMs: number;
  /** From `sky launch` on 50 hosts that have the runtime to the first line of the last rank. */
  readonly manyMs: number;
  readonly manyServerMib: number;
  readonly files: FileTimes;
}

function names(count: number): { readonly name: string }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `n${index}` }));
}

async function require(sandbox: Sandbox, args: readonly string[]): Promise<RunResult> {
  const result = await sandbox.sky(args, { timeoutMs: 600_000 });
  if (result.exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  return result;
}

/** Milliseconds until the output has `count` lines that end with the text. */
async function untilLines(
  sandbox: Sandbox,
  args: readonly string[],
  wanted: { text: string; count: number },
): Promise<number> {
  const started = performance.now();
  let seen = "";
  let foundMs: number | undefined;
  const pattern = new RegExp(`\\) ${wanted.text}$`, "gmu");
  const program = sandbox.startSky(args, {
    timeoutMs: 600_000,
    onOutput: (text) => {
      seen += text;
      if (foundMs !== undefined) return;
      if ((plainText(seen).match(pattern) ?? []).length >= wanted.count) foundMs = performance.now() - started;
    },
  });
  const result = await program.result;
  if (result.exitCode !== 0 || foundMs === undefined)
    throw new Error(`sky ${args.join(" ")}: ${result.exitCode}\n${seen}`);
  return foundMs;
}

function launchArgs(nodes: number, rest: readonly string[]): string[] {
  return ["launch", "-y", "-c", "c", "--infra", "ssh/rack", "--num-nodes", String(nodes), ...rest];
}

const RANK_2 = { text: "rank 2", count: 1 };
const SAY_RANK = "echo rank $SKYPILOT_NODE_RANK";

async function withPool<T>(hosts: number, measure: (pool: SshPool) => Promise<T>): Promise<T> {
  const pool = await createSshPool(names(hosts));
  try {
    await pool.sandbox.startServer();
    return await measure(pool);
  } finally {
    await pool.dispose();
  }
}

async function measureThree(): Promise<Pick<SshFigures, "freshMs" | "warmMs" | "execMs">> {
  return withPool(3, async ({ sandbox }) => {
    const upMs = (await require(sandbox, ["ssh", "up"])).elapsedMs;
    const freshMs = upMs + (await untilLines(sandbox, launchArgs(3, [SAY_RANK]), RANK_2));
    const execs: number[] = [];
    const warm: number[] = [];
    for (let run = 0; run < 5; run += 1) {
      execs.push(await untilLines(sandbox, ["exec", "c", "echo again"], { text: "again", count: 1 }));
      await require(sandbox, ["down", "-y", "c"]);
      warm.push(await untilLines(sandbox, launchArgs(3, [SAY_RANK]), RANK_2));
    }
    return { freshMs, warmMs: median(warm), execMs: median(execs) };
  });
}

async function measureMany(): Promise<Pick<SshFigures, "manyMs" | "manyServerMib">> {
  return withPool(MANY, async ({ sandbox }) => {
    await require(sandbox, ["ssh", "up"]);
    const manyMs = await untilLines(sandbox, launchArgs(MANY, ["echo running; sleep 5"]), {
      text: "running",
      count: MANY,
    });
    const rssKib = sandbox.serverProcesses().reduce((sum, one) => sum + one.rssKib, 0);
    return { manyMs, manyServerMib: rssKib / 1024 };
  });
}

/** Undefined where no fleet can be made. */
export async function measureSshPools(say: (text: string) => void): Promise<SshFigures | undefined> {
  const reason = whyNoFleet();
  if (reason !== undefined) {
    say(`SSH hosts are not measured: ${reason}.`);
    return undefined;
  }
  say("SSH hosts: three");
  const three = await measureThree();
  say("SSH hosts: files");
  const files = await withPool(4, measureFiles);
  say(`SSH hosts: ${MANY}`);
  return { ...three, files, ...(await measureMany()) };
}

/** Rows of the table of figures. */
export function sshFigures(measured: SshFigures | undefined): Figure[] {
  return [
    atMost(
      "3 fresh SSH hosts without egress: `sky ssh up`, `sky launch` to the first line of rank 2",
      "ms",
      6000,
      measured?.freshMs,
    ),
    atMost("the same on hosts that have the runtime", "ms", 1500, measured?.warmMs),
    atMost("`sky exec` on a warm SSH cluster: command to first output line", "ms", 500, measured?.execMs),
    atMost(
      `${MANY} SSH hosts that have the runtime: \`sky launch\` to the first line of the last rank`,
      "ms",
      15_000,
      measured?.manyMs,
    ),
    atMost("the same: memory of the API server", "MiB", 300, measured?.manyServerMib),
    ...fileFigures(measured?.files),
  ];
}

if (import.meta.main) {
  const measured = await measureSshPools((text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${renderFigures(sshFigures(measured))}\n`);
}
