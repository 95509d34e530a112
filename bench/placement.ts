/** Measures how long a plan takes: `sky launch --dryrun` on AWS, and the solver alone; run by itself it prints JSON. */
import { solve, type PlacementEdge, type PlacementOption } from "../src/core/optimizer/solve.ts";
import { findMoto, Moto } from "../test/support/aws/moto.ts";
import { writeProfile } from "../test/support/aws/profile.ts";
import { installZoneNames } from "../test/support/catalogs.ts";
import { measureCommand, type ProcessFigures } from "./cli-measure.ts";
import { OurServer } from "./cli-worlds.ts";

export interface PlacementFigures {
  /** Process start to exit, server warm; undefined without moto. */
  readonly dryrun: ProcessFigures | undefined;
  /** 10 tasks with 1,000 candidates each and 17 edges, slower of the two targets. */
  readonly solveMs: number;
}

const TASKS = 10;
const CANDIDATES = 1000;
const SOLVE_RUNS = 7;
const PLACES = ["aws", "gcp", "azure", "oci", "kubernetes"] as const;

/** Every task gets data from the one before and from the one at half its position. */
function edges(): readonly PlacementEdge[] {
  return Array.from({ length: TASKS }, (_, to) => to).flatMap((to) =>
    [...new Set([to - 1, Math.floor((to - 1) / 2)])]
      .filter((from) => from >= 0)
      .map((from) => ({ from, to, move: (source: string) => ({ usd: source.length / 10, hours: 0.1 }) })),
  );
}

function options(task: number): readonly PlacementOption[] {
  return Array.from({ length: CANDIDATES }, (_, at) => ({
    place: PLACES[at % PLACES.length] ?? "aws",
    usd: ((at * 7919 + task * 104_729) % 1000) / 100,
    hours: 1 + ((at * 31 + task * 17) % 7) / 10,
  }));
}

function measureSolve(): number {
  const tasks = Array.from({ length: TASKS }, (_, task) => options(task));
  const medians = (["cost", "time"] as const).map((minimize) => {
    const times = Array.from({ length: SOLVE_RUNS }, () => {
      const started = performance.now();
      solve({ tasks, edges: edges(), minimize });
      return performance.now() - started;
    });
    return times.toSorted((one, other) => one - other)[Math.floor(SOLVE_RUNS / 2)] ?? 0;
  });
  return Math.max(...medians);
}

async function measureDryrun(effort: { readonly python: string; readonly runs: number }): Promise<ProcessFigures> {
  const moto = await Moto.start();
  const server = await OurServer.create();
  try {
    const { home } = server.sandbox;
    writeProfile(home, moto.url);
    installZoneNames(home);
    const world = server.world(await server.start());
    await world.run([...world.sky, "check", "aws"], { timeoutMs: 300_000 });
    const words = ["launch", "-y", "--dryrun", "--gpus", "T4:1", "echo hi"];
    const first = await world.run([...world.sky, ...words]);
    if (!first.stdout.includes("g4dn.xlarge")) throw new Error(`no plan on AWS: ${first.stdout}${first.stderr}`);
    return await measureCommand(world, words, effort);
  } finally {
    await server.sandbox.dispose();
    moto.stop();
  }
}

export async function measurePlacement(effort: {
  readonly python: string;
  readonly commandRuns: number;
}): Promise<PlacementFigures> {
  const solveMs = measureSolve();
  const { python, commandRuns: runs } = effort;
  const dryrun = findMoto() === undefined ? undefined : await measureDryrun({ python, runs });
  return { dryrun, solveMs };
}

if (import.meta.main) {
  const python = process.env["SKY_REFERENCE_PYTHON"] ?? "python3";
  console.log(JSON.stringify(await measurePlacement({ python, commandRuns: 21 })));
}
