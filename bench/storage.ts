/** Measures buckets against `aws s3 sync` on the same S3 server; run by itself it prints the table. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { rolldown } from "rolldown";
import { bundles } from "../scripts/build.ts";
import { runProgram, type RunOptions, type RunResult } from "../test/e2e/support/run-program.ts";
import { Sandbox } from "../test/e2e/support/sandbox.ts";
import { whyNoFleet } from "../test/fleet/requirements.ts";
import { createSshPool } from "../test/fleet/ssh-pool.ts";
import { findGateway, S3Gateway } from "../test/support/s3/gateway.ts";
import { atMost, median, renderFigures, type Figure } from "./cli-figures.ts";
import { measureReads, readFigures, type ReadRates } from "./mount-reads.ts";

const MIB = 1024 * 1024;
const FILES = 10_000;
const FILE_BYTES = 10_000;
const BIG_MIB = 2048;
const HUGE_MIB = 10_240;
const RUNS = 3;
const TIMEOUT_MS = 900_000;
/** AWS CLI 2 of Debian, which the machines of a fleet see, too. */
const AWS = "/usr/bin/aws";

type Say = (text: string) => void;

interface Pair {
  readonly oursMs: number;
  readonly awsMs: number;
}

export interface StorageFigures {
  readonly many: Pair;
  readonly big: Pair;
  /** To four nodes, against one. */
  readonly copy: Pair;
  readonly reads: readonly ReadRates[] | undefined;
  readonly serverMib: number;
}

function mediansOf(pairs: readonly Pair[]): Pair {
  return { oursMs: median(pairs.map(({ oursMs }) => oursMs)), awsMs: median(pairs.map(({ awsMs }) => awsMs)) };
}

function writeMany(directory: string): void {
  for (let index = 0; index < FILES; index += 1) {
    const folder = join(directory, `d${index % 100}`);
    if (index < 100) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${index}`), randomBytes(FILE_BYTES));
  }
}

function writeBig(file: string, mebibytes: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const piece = randomBytes(64 * MIB);
  for (let written = 0; written < mebibytes; written += 64) writeFileSync(file, piece, { flag: "a" });
}

function writeSparse(file: string, mebibytes: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, mebibytes * MIB);
  closeSync(descriptor);
}

function checked(result: RunResult, what: string): RunResult {
  if (result.exitCode !== 0) throw new Error(`${what}: ${result.exitCode}\n${result.stdout}${result.stderr}`);
  return result;
}

function awsSync(url: string, from: string, to: string): string[] {
  return [AWS, "--endpoint-url", url, "s3", "sync", "--no-follow-symlinks", "--only-show-errors", from, to];
}

/** As it is in the server: how it is bundled decides how fast it is, too. */
async function bundleUploader(root: string): Promise<string> {
  const input = new URL("storage-upload.ts", import.meta.url).pathname;
  const build = await rolldown({ ...bundles.server.input, input: { uploader: input } });
  await build.write({ ...bundles.server.output, dir: join(root, "program") });
  await build.close();
  return join(root, "program/uploader.mjs");
}

/** There is no room for all runs, and none meets what another has left. */
function clearBucket(gateway: S3Gateway): void {
  const bucket = join(gateway.buckets, "bench");
  for (const name of readdirSync(bucket)) rmSync(join(bucket, name), { recursive: true, force: true });
}

/**
 * The server's uploader against `aws s3 sync`, each a process of its own, in turns. What the S3 server holds is in memory: its disk, where an object
 * of several parts is written twice, would be the measure.
 */
async function measureUploads(root: string, say: Say): Promise<Pick<StorageFigures, "many" | "big">> {
  writeMany(join(root, "many"));
  writeBig(join(root, "big/file"), BIG_MIB);
  const memory = join(root, "memory");
  mkdirSync(memory);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${3 * BIG_MIB}m`, "tmpfs", memory]);
  const gateway = await S3Gateway.start({ parent: memory });
  try {
    const client = gateway.client();
    await client.send(new CreateBucketCommand({ Bucket: "bench" }));
    client.destroy();
    return await compareUploads(gateway, root, say);
  } finally {
    await gateway.kill();
    execFileSync("umount", [memory]);
  }
}

async function compareUploads(
  gateway: S3Gateway,
  root: string,
  say: Say,
): Promise<Pick<StorageFigures, "many" | "big">> {
  const env = { ...gateway.env, AWS_DEFAULT_REGION: "us-east-1", PATH: process.env["PATH"] ?? "", HOME: root };
  const options: RunOptions = { env, cwd: root, timeoutMs: TIMEOUT_MS };
  const uploader = await bundleUploader(root);
  const measure = async (what: string): Promise<Pair> => {
    const pairs: Pair[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const argv = [process.execPath, uploader, join(root, what), "bench", `ours-${what}-${run}`];
      const oursMs = checked(await runProgram(argv, options), "our uploader").elapsedMs;
      clearBucket(gateway);
      const target = `s3://bench/aws-${what}-${run}`;
      const awsMs = checked(await runProgram(awsSync(gateway.url, join(root, what), target), options), "aws").elapsedMs;
      clearBucket(gateway);
      pairs.push({ oursMs, awsMs });
      say(`  ${what}: ${oursMs.toFixed(0)} ms, aws s3 sync ${awsMs.toFixed(0)} ms`);
    }
    return mediansOf(pairs);
  };
  return { many: await measure("many"), big: await measure("big") };
}

/** `sky` in a sandbox whose server uses the gateway with its own keys. */
async function openSky(
  sandbox: Sandbox,
  gateway: S3Gateway,
): Promise<(...args: readonly string[]) => Promise<RunResult>> {
  const env = sandbox.env(gateway.env);
  mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
  writeFileSync(join(sandbox.home, ".sky/config.yaml"), "aws: {remote_identity: LOCAL_CREDENTIALS}\n");
  await sandbox.startServer(gateway.env);
  return async (...args) => checked(await sandbox.sky(args, { env, timeoutMs: TIMEOUT_MS }), `sky ${args.join(" ")}`);
}

/** How much memory the server takes to fill a bucket. */
async function measureMemory(gateway: S3Gateway, say: Say): Promise<number> {
  const sandbox = await Sandbox.create();
  try {
    const sky = await openSky(sandbox, gateway);
    const launch = (mount: string): Promise<RunResult> => {
      const yaml = `resources: {infra: local}\nfile_mounts:\n  ~/m: ${mount}\nrun: 'true'\n`;
      return sky("launch", "-y", "-c", "c", sandbox.write("task.yaml", yaml));
    };
    // In several files: versitygw keeps the list of an object's parts where some 1,000 of them find no room.
    for (const name of ["a", "b", "c", "d"]) writeSparse(join(sandbox.work, "huge", name), HUGE_MIB / 4);
    const serverMib = await peakMib(sandbox, () => launch("{name: huge-bucket, source: ./huge, mode: MOUNT}"));
    say(`  ${HUGE_MIB} MiB uploaded: server at most ${serverMib.toFixed(0)} MiB`);
    return serverMib;
  } finally {
    await sandbox.dispose();
  }
}

async function peakMib(sandbox: Sandbox, work: () => Promise<unknown>): Promise<number> {
  let peakKib = 0;
  const look = setInterval(() => {
    peakKib = Math.max(
      peakKib,
      sandbox.serverProcesses().reduce((sum, one) => sum + one.rssKib, 0),
    );
  }, 200);
  await work().finally(() => clearInterval(look));
  return peakKib / 1024;
}

/** The small files from a bucket to four machines by SSH, against `aws s3 sync` on one of them. */
async function measureCopies(say: Say): Promise<Pair> {
  const pool = await createSshPool([0, 1, 2, 3].map((index) => ({ name: `n${index}`, python: index === 0 })));
  try {
    const { sandbox, fleet } = pool;
    const gateway = await S3Gateway.startIn(fleet);
    const sky = await openSky(sandbox, gateway);
    const launch = async (name: string, mounts: string): Promise<number> => {
      const yaml = `num_nodes: 4\nresources: {infra: ssh/rack}\n${mounts}run: 'true'\n`;
      return (await sky("launch", "-y", "-c", "c", sandbox.write(`${name}.yaml`, yaml))).elapsedMs;
    };
    writeMany(join(sandbox.work, "many"));
    await sky("ssh", "up");
    await launch("fill", "file_mounts:\n  ~/fill: {name: many, source: ./many, mode: COPY}\n");
    const pairs: Pair[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const none = await launch("none", "");
      execFileSync("sync");
      const ours = await launch("copy", `file_mounts:\n  ~/copy${run}: s3://many\n`);
      execFileSync("sync");
      const argv = awsSync(gateway.url, "s3://many", `/home/dev/aws${run}`);
      const env = { ...gateway.env, AWS_DEFAULT_REGION: "us-east-1", PATH: "/usr/bin:/bin", HOME: "/home/dev" };
      const aws = checked(await fleet.host("n0").exec(argv, { user: "dev", env, timeoutMs: TIMEOUT_MS }), "aws");
      pairs.push({ oursMs: ours - none, awsMs: aws.elapsedMs });
      say(`  copy: ${(ours - none).toFixed(0)} ms to four, aws s3 sync ${aws.elapsedMs.toFixed(0)} ms to one`);
    }
    return mediansOf(pairs);
  } finally {
    await pool.dispose();
  }
}

/** Undefined where there is no second S3 server, no fleet or no AWS CLI. */
export async function measureStorage(say: Say): Promise<StorageFigures | undefined> {
  const reason = findGateway() === undefined ? "there is no versitygw (SKY_S3_GATEWAY)" : whyNoFleet();
  if (reason !== undefined) {
    say(`Buckets are not measured: ${reason}.`);
    return undefined;
  }
  const root = mkdtempSync(join(tmpdir(), "bench-storage-"));
  const gateway = await S3Gateway.start();
  try {
    say("buckets: copies");
    const copy = await measureCopies(say);
    say("buckets: uploads");
    const uploads = await measureUploads(root, say);
    say("buckets: memory");
    const serverMib = await measureMemory(gateway, say);
    return { copy, ...uploads, serverMib, reads: await measureReads(say) };
  } finally {
    gateway.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Rows of the table of figures. */
export function storageFigures(measured: StorageFigures | undefined): Figure[] {
  const { many, big, copy, reads, serverMib } = measured ?? {};
  return [
    atMost(
      "10,000 small files (100 MB) to a bucket, against `aws s3 sync` / 5",
      "ms",
      (many?.awsMs ?? 0) / 5,
      many?.oursMs,
    ),
    atMost("2 GiB in one file to a bucket, against `aws s3 sync` / 1.5", "ms", (big?.awsMs ?? 0) / 1.5, big?.oursMs),
    atMost(
      "these small files to 4 SSH hosts, against `aws s3 sync` to one / 3",
      "ms",
      (copy?.awsMs ?? 0) / 3,
      copy?.oursMs,
    ),
    ...readFigures(reads),
    atMost("API server while it uploads 10 GiB: memory (200 MB)", "MiB", 200e6 / MIB, serverMib),
  ];
}

if (import.meta.main) {
  const measured = await measureStorage((text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${renderFigures(storageFigures(measured))}\n`);
}
