/** Measures every figure side by side with the original and writes BENCHMARKS.md; see there for how to run it. */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { findReference, type Reference } from "../test/e2e/support/reference.ts";
import { measureCatalog } from "./catalog.ts";
import { measureAwsCheck } from "./aws-check.ts";
import { measureAwsNodes } from "./aws-nodes.ts";
import { measureFirstLines } from "./cli-first-line.ts";
import { figuresOf, renderReport, type JobRun, type Run } from "./cli-report.ts";
import { median, renderFigures } from "./cli-figures.ts";
import { measureEmpty, measureFull, type Effort, type Measured, type MeasuredFull } from "./cli-scenarios.ts";
import { seedClusters } from "./cli-seed.ts";
import { measureBigLog, measureFollowers, measureJobs } from "./cli-streams.ts";
import { measurePlacement } from "./placement.ts";
import { OurServer, startOriginalWorld } from "./cli-worlds.ts";
import { measureSshPools } from "./ssh-pools.ts";
import { measureStorage } from "./storage.ts";

const CLUSTERS = 1000;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function medianStartMs(server: OurServer, runs: number): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    times.push(await server.start());
    await server.stop();
  }
  return median(times);
}

interface OurRun {
  readonly empty: Measured;
  readonly full: MeasuredFull;
  readonly jobs: JobRun;
}

async function measureOurs(effort: Effort): Promise<OurRun> {
  const server = await OurServer.create();
  try {
    say("ours: start");
    const startMs = await medianStartMs(server, 5);
    await server.start();
    const world = server.world(startMs);
    say("ours: commands and load without a cluster");
    const empty = await measureEmpty(world, effort);
    say("ours: launch and exec");
    const firstLines = await measureFirstLines(server, world, 5);
    const launched = await world.run([...world.sky, "launch", "-y", "-c", "bench-0000", "true"]);
    if (launched.exitCode !== 0) throw new Error(launched.stdout + launched.stderr);
    say("ours: jobs");
    const jobsPerSecond = await measureJobs(world, 1000);
    say("ours: log streams");
    const stream = await measureBigLog(server, world, effort.logMegabytes);
    const followersP99Ms = await measureFollowers(world, 500, 8);
    // Once looked at, as clusters are that have been there for a minute: the first look writes down what it saw.
    await world.run([...world.sky, "status", "--refresh", "bench-0000"]);
    await server.stop();
    say(`ours: ${CLUSTERS} clusters`);
    await server.startIdleAgents(seedClusters(server.sandbox.home, "bench-0000", CLUSTERS));
    await server.start();
    const full = await measureFull(world, effort);
    return { empty, full, jobs: { firstLines, jobsPerSecond, stream, followersP99Ms } };
  } finally {
    await server.sandbox.dispose();
  }
}

async function measureOriginal(reference: Reference, effort: Effort): Promise<{ empty: Measured; full: MeasuredFull }> {
  // Its commands take seconds, so that few runs say enough.
  const few: Effort = { ...effort, commandRuns: Math.min(effort.commandRuns, 5) };
  say("original: start");
  const { world, server } = await startOriginalWorld(reference);
  let empty: Measured;
  try {
    say("original: commands and load without a cluster");
    empty = await measureEmpty(world, few);
  } finally {
    await server.stop();
  }
  say(`original: ${CLUSTERS} clusters`);
  const second = await startOriginalWorld(reference);
  try {
    const script = new URL("reference-seed.py", import.meta.url).pathname;
    const seeded = await second.world.run([reference.python, script, String(CLUSTERS)], { timeoutMs: 300_000 });
    if (seeded.exitCode !== 0) throw new Error(seeded.stderr);
    return { empty, full: await measureFull(second.world, { ...few, commandRuns: 2 }) };
  } finally {
    await second.server.stop();
  }
}

const { values } = parseArgs({
  options: {
    "no-original": { type: "boolean", default: false },
    "only-print": { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
  },
});
const load = loadavg()
  .map((value) => value.toFixed(2))
  .join(", ");
const reference = values["no-original"] ? undefined : findReference();
if (reference === undefined)
  say("The original is not measured: set SKY_REFERENCE_PYTHON to measure it in the same run.");
const effort: Effort = {
  python: reference?.python ?? "python3",
  commandRuns: values.quick ? 5 : 21,
  loadSeconds: values.quick ? 3 : 10,
  settleSeconds: values.quick ? 3 : 20,
  logMegabytes: values.quick ? 100 : 1000,
};
const ours = await measureOurs(effort);
const original = reference === undefined ? undefined : await measureOriginal(reference, effort);
say("aws check");
const awsCheck = await measureAwsCheck(reference, effort);
const run: Run = {
  awsCheck,
  placement: await measurePlacement(effort),
  catalog: await measureCatalog(effort),
  sshPools: await measureSshPools(say),
  awsNodes: await measureAwsNodes(reference, say),
  storage: await measureStorage(say),
  empty: { ours: ours.empty, original: original?.empty },
  full: { ours: ours.full, original: original?.full },
  jobs: ours.jobs,
};
console.log(renderFigures(figuresOf(run)));
if (!values["only-print"]) {
  const report = renderReport(run, { date: new Date().toISOString().slice(0, 16).replace("T", " "), load });
  writeFileSync(new URL("../BENCHMARKS.md", import.meta.url), report);
}
