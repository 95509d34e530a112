import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import type { AwsCheck } from "./aws-check.ts";
import type { CatalogFigures } from "./catalog.ts";
import type { Figure } from "./cli-figures.ts";
import { renderFigures } from "./cli-figures.ts";
import type { FirstLines } from "./cli-first-line.ts";
import type { Measured, MeasuredFull } from "./cli-scenarios.ts";
import type { PlacementFigures } from "./placement.ts";
import type { StreamFigures } from "./cli-streams.ts";
import { awsNodeFigures, type AwsNodeFigures } from "./aws-nodes.ts";
import { storageFigures, type StorageFigures } from "./storage.ts";
import { sshFigures, type SshFigures } from "./ssh-pools.ts";

export interface Sides<T> {
  readonly ours: T | undefined;
  readonly original: T | undefined;
}

type Pick<T> = (measured: T) => number;

function sides<T>(measured: Sides<T>, pick: Pick<T>): { ours: number | undefined; original: number | undefined } {
  return {
    ours: measured.ours === undefined ? undefined : pick(measured.ours),
    original: measured.original === undefined ? undefined : pick(measured.original),
  };
}

function commandFigures(empty: Sides<Measured>, full: Sides<MeasuredFull>): Figure[] {
  const faster = (factor: number): Figure["target"] => ({ kind: "times-faster", factor });
  const atMost = (value: number): Figure["target"] => ({ kind: "at-most", value });
  return [
    { what: "`sky --help`, wall", unit: "ms", target: faster(50), ...sides(empty, (m) => m.help.medianMs) },
    { what: "`sky --help`, peak memory", unit: "MiB", target: atMost(60), ...sides(empty, (m) => m.help.peakMib) },
    { what: "`sky --version`, wall", unit: "ms", target: faster(50), ...sides(empty, (m) => m.version.medianMs) },
    {
      what: "`sky --version`, peak memory",
      unit: "MiB",
      target: atMost(60),
      ...sides(empty, (m) => m.version.peakMib),
    },
    {
      what: "`sky status`, warm server, no cluster",
      unit: "ms",
      target: faster(25),
      ...sides(empty, (m) => m.statusEmpty.medianMs),
    },
    {
      what: "`sky status`, warm server, 1,000 clusters",
      unit: "ms",
      target: faster(25),
      ...sides(full, (m) => m.statusFull.medianMs),
    },
  ];
}

function serverFigures(empty: Sides<Measured>, full: Sides<MeasuredFull>): Figure[] {
  const more = (factor: number): Figure["target"] => ({ kind: "times-more", factor });
  const atMost = (value: number): Figure["target"] => ({ kind: "at-most", value });
  const health = ([1, 8, 32] as const).map((clients, index) => ({
    what: `\`GET /api/health\`, ${clients} client${clients === 1 ? "" : "s"}`,
    unit: "/s",
    target: more([15, 25, 30][index] ?? 30),
    ...sides(empty, (m) => m.health[clients]),
  }));
  return [
    {
      what: "API server: start to first healthy answer",
      unit: "ms",
      target: atMost(400),
      ...sides(empty, (m) => m.startMs),
    },
    {
      what: "API server, idle: memory of all processes",
      unit: "MiB",
      target: atMost(120),
      ...sides(empty, (m) => m.idleMib),
    },
    {
      what: "API server, after 32 parallel clients",
      unit: "MiB",
      target: atMost(200),
      ...sides(empty, (m) => m.loadedMib),
    },
    ...health,
    {
      what: "`POST /status` + `/api/get`, 32 clients, no cluster",
      unit: "/s",
      target: more(100),
      ...sides(empty, (m) => m.statusLoadEmpty.perSecond),
    },
    { what: "the same, p99", unit: "ms", target: atMost(100), ...sides(empty, (m) => m.statusLoadEmpty.p99Ms) },
    {
      what: "`POST /status` + `/api/get`, 32 clients, 1,000 clusters",
      unit: "/s",
      target: { kind: "at-least", value: 60 },
      ...sides(full, (m) => m.statusLoadFull.perSecond),
    },
    { what: "the same, p99", unit: "ms", target: atMost(1000), ...sides(full, (m) => m.statusLoadFull.p99Ms) },
  ];
}

function placementFigures({ dryrun, solveMs }: PlacementFigures): Figure[] {
  const atMost = (value: number): Figure["target"] => ({ kind: "at-most", value });
  const ours = (what: string, target: number, value: number | undefined): Figure => ({
    what,
    unit: "ms",
    target: atMost(target),
    ours: value,
    original: undefined,
  });
  return [
    ours("`sky launch --dryrun`, warm server, full catalog of AWS", 250, dryrun?.medianMs),
    ours("placing 10 tasks with 1,000 candidates each (DAG)", 100, solveMs),
  ];
}

function catalogFigures(catalog: CatalogFigures): Figure[] {
  const original = undefined;
  const atMost = (value: number): Figure["target"] => ({ kind: "at-most", value });
  const rows = catalog.rows.toLocaleString("en-US");
  return [
    { what: `catalog, ${rows} rows: load, CPU`, unit: "ms", target: atMost(60), ours: catalog.loadMs, original },
    { what: "the same: memory", unit: "MiB", target: atMost(60), ours: catalog.memoryMib, original },
    { what: "the same: one request, warm, CPU", unit: "ms", target: atMost(3), ours: catalog.requestMs, original },
    { what: "`sky gpus list --all`", unit: "ms", target: atMost(300), ours: catalog.gpusList.medianMs, original },
  ];
}

function jobFigures(jobs: JobRun): Figure[] {
  const original = undefined;
  const { firstLines: first, jobsPerSecond, stream, followersP99Ms } = jobs;
  const atMost = (value: number): Figure["target"] => ({ kind: "at-most", value });
  const atLeast = (value: number): Figure["target"] => ({ kind: "at-least", value });
  return [
    {
      what: "`sky launch` on this machine: command to first output line",
      unit: "ms",
      target: { kind: "at-most", value: 1000 },
      ours: first?.launchMs,
      original,
    },
    {
      what: "`sky exec`: command to first output line",
      unit: "ms",
      target: { kind: "at-most", value: 400 },
      ours: first?.execMs,
      original,
    },
    {
      what: "1,000 jobs `true` on one cluster, through the API server",
      unit: "jobs/s",
      target: atLeast(50),
      ours: jobsPerSecond,
      original,
    },
    {
      what: "log of 1 GB: agent → server → client, byte-exact",
      unit: "MB/s",
      target: atLeast(100),
      ours: stream.mbPerSecond,
      original,
    },
    {
      what: "the same: growth of the server's memory",
      unit: "MiB",
      target: atMost(64),
      ours: stream.serverGrowthMib,
      original,
    },
    {
      what: "500 clients follow a log: p99 of another request",
      unit: "ms",
      target: atMost(50),
      ours: followersP99Ms,
      original,
    },
  ];
}

function awsFigures({ ours, original }: AwsCheck): Figure[] {
  const medians = { ours: ours?.medianMs, original: original?.medianMs };
  const what = "`sky check aws`, warm server, moto";
  return [
    { what, unit: "ms", target: { kind: "at-most", value: 600 }, ...medians },
    { what: "the same, against the original", unit: "ms", target: { kind: "times-faster", factor: 5 }, ...medians },
  ];
}

export interface JobRun {
  readonly firstLines: FirstLines;
  readonly jobsPerSecond: number;
  readonly stream: StreamFigures;
  readonly followersP99Ms: number;
}

export interface Run {
  readonly empty: Sides<Measured>;
  readonly full: Sides<MeasuredFull>;
  readonly jobs: JobRun;
  readonly awsCheck: AwsCheck;
  readonly placement: PlacementFigures;
  readonly catalog: CatalogFigures;
  /** Undefined where no fleet can be made. */
  readonly sshPools: SshFigures | undefined;
  readonly awsNodes: AwsNodeFigures | undefined;
  readonly storage: StorageFigures | undefined;
}

/** Every figure of a run, in the order of the table. */
export function figuresOf(run: Run): Figure[] {
  return [
    ...commandFigures(run.empty, run.full),
    ...awsFigures(run.awsCheck),
    ...placementFigures(run.placement),
    ...catalogFigures(run.catalog),
    ...serverFigures(run.empty, run.full),
    ...jobFigures(run.jobs),
    ...sshFigures(run.sshPools),
    ...awsNodeFigures(run.awsNodes),
    ...storageFigures(run.storage),
  ];
}

function machine(): string {
  const debian = /PRETTY_NAME="(.*)"/u.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  const model = cpus()[0]?.model.trim() ?? "unknown";
  const gib = Math.round(totalmem() / 1024 ** 3);
  return `${cpus().length} × ${model}, ${gib} GiB, ${debian}, Linux ${release()}, Node ${process.versions.node}`;
}

/** BENCHMARKS.md. */
export function renderReport(run: Run, options: { readonly date: string; readonly load: string }): string {
  return `# Benchmarks

Written by \`npm run bench\`: this product and the official SkyPilot 0.14.1 on the same machine in the same run, measured by the
same code. A dash stands where the original has no such feature (it cannot use this machine without a Kubernetes) or a
part was left out of the run. Missed targets stay in the table.

* ${options.date}
* ${machine()}
* load average (1, 5, 15 minutes) at the start: ${options.load}

${renderFigures(figuresOf(run))}

## How it is measured

* Commands: started one after the other with their output to \`/dev/null\`; wall time is the median, memory the largest peak
  (\`wait4\`) of all runs.
* API server: from starting the process to the first \`200\` of \`/api/health\`; memory is the resident size of all processes of the
  server, summed, after it was left alone, and again after the load below.
* Load: a process of its own (\`bench/reference-load.ts\`) with keep-alive connections, one request in flight on each; the
  health figures by \`wrk -t1\`. A request
  of the status figures is \`POST /status\`, then \`GET /api/get\`; the database is the one that each product uses by default.
* \`sky check aws\`: keys of a profile whose endpoint is a \`moto_server\` on the same machine, each side with its own. Left out
  where there is none (PATH, or \`SKYPILOT_MOTO_SERVER\`). By itself: \`npm run build && node bench/aws-check.ts\`.
* \`sky launch --dryrun\`: from starting the command to its end, credentials of the same \`moto_server\`. By itself, with the
  solver: \`npm run build && node bench/placement.ts\`.
* Catalog: load and memory are medians of seven fresh processes (heap and buffers after a garbage collection); a request is the
  dearest of six, 50 times after 30 to warm up, in CPU time. By itself: \`npm run build && node bench/catalog.ts\`.
* Buckets: on versitygw (\`SKY_S3_GATEWAY\` or PATH; \`.ci/run\` builds it), against AWS CLI 2 of Debian in turns; left out where one of them or a fleet is missing. By
  itself: \`npm run build && node bench/storage.ts\`.
* 1,000 clusters: rows in the product's own database, listed in full. Ours are copies of a cluster that was really launched; one process
  (\`bench/idle-agents.ts\`) answers for the agents of the copies, so that they are as reachable as clusters that nobody uses.
* First output line: from starting the command until the job's first line is in its output, on a new cluster each time.
* 500 followers: the latency of \`/api/health\`, asked every 5 ms meanwhile, bounds the lag of the server's event loop from above.
* SSH hosts: little hosts with real sshd in a network of their own on the same machine (\`test/fleet\`), so that their CPU time counts too.
  By itself: \`npm run build && node bench/ssh-pools.ts\`.
* The original runs in a network and process namespace of its own, as do the clients that measure it.

## Repeat it

\`\`\`
python3 -m venv ref && ref/bin/pip install 'skypilot[aws]==0.14.1' 'moto[server]==5.2.5'
SKY_REFERENCE_PYTHON=$PWD/ref/bin/python SKYPILOT_MOTO_SERVER=$PWD/ref/bin/moto_server npm run bench
\`\`\`

As root (for the namespaces) and on an idle machine; on one that is not, in a control group of its own (version 1):

\`\`\`
mkdir /sys/fs/cgroup/cpu/bench && echo 40000 > /sys/fs/cgroup/cpu/bench/cpu.shares
sh -c 'echo $$ > /sys/fs/cgroup/cpu/bench/cgroup.procs; exec node bench/ssh-pools.ts'
\`\`\`

A group of \`cpuacct\` that is made and entered in the same way counts the processor time (\`cpuacct.usage\`).

\`npm run bench -- --no-original\` measures only this product,
\`-- --only-print\` does not write this file, \`-- --quick\` takes shorter runs.
`;
}
