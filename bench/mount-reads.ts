/**
 * Measures how fast files of mounted buckets are read, against `curl` of the same server by the same way, and against `aws s3 cp`; by itself it prints the table,
 * of one way with part of its name: `node bench/mount-reads.ts "5 Gbit"`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { randomBytes } from "node:crypto";
import type { RunResult } from "../test/e2e/support/run-program.ts";
import { waitFor } from "../test/e2e/support/wait-for.ts";
import { whyNoFleet } from "../test/fleet/requirements.ts";
import { createSshPool, type SshPool } from "../test/fleet/ssh-pool.ts";
import { GATEWAY } from "../test/fleet/world.ts";
import { findGateway, S3Gateway } from "../test/support/s3/gateway.ts";
import { findRclone } from "../test/support/s3/rclone.ts";
import { atLeast, median, renderFigures, type Figure } from "./cli-figures.ts";

const MIB = 1024 * 1024;
const READ_MIB = 512;
const RUNS = 3;
const TIMEOUT_MS = 300_000;
const AWS = "/usr/bin/aws";
const RELAY_PORT = 7171;
const TASK = `
resources: {infra: ssh/rack}
file_mounts:
  ~/w: {source: s3://reads}
  ~/r: {source: s3://reads, config: {mount: {read_only: true}}}
run: ls ~/w ~/r
`;

/** The way between node and server. */
interface Way {
  readonly name: string;
  /** As `tc` has it: what the node's cable carries. */
  readonly rate?: string;
  /** Each connection is late by 20 ms and carries 90 MB/s, which is what AWS says of S3. */
  readonly isLikeS3?: boolean;
}

const WAYS: readonly Way[] = [
  { name: "in memory" },
  { name: "over 5 Gbit/s", rate: "5gbit" },
  { name: "over 1 Gbit/s", rate: "1gbit" },
  { name: "at 90 MB/s a connection and 20 ms, as S3 gives", isLikeS3: true },
];

/** Medians in MB/s; undefined where they could not be measured. */
export interface ReadRates {
  readonly way: string;
  readonly plain: number;
  readonly aws: number;
  /** Through a mount that is only read, and one that may be written. */
  readonly readOnly: number;
  readonly writable: number;
}

type Say = (text: string) => void;

function writeParts(gateway: S3Gateway): void {
  const piece = randomBytes(64 * MIB);
  for (let run = 0; run < RUNS; run += 1) {
    const file = join(gateway.buckets, "reads", `part${run}`);
    mkdirSync(dirname(file), { recursive: true });
    for (let written = 0; written < READ_MIB; written += 64) writeFileSync(file, piece, { flag: "a" });
  }
}

/** Puts the way between the node and the server; gives the server's address by it. */
async function layWay({ rate, isLikeS3 }: Way, { fleet }: SshPool, gateway: S3Gateway): Promise<string> {
  if (rate !== undefined) {
    const shape = ["tbf", "rate", rate, "burst", "2mb", "latency", "20ms"];
    await fleet.world.require(["tc", "qdisc", "replace", "dev", "h1b1", "root", ...shape]);
  }
  if (isLikeS3 !== true) return gateway.url;
  const relay = fileURLToPath(new URL("s3-relay.ts", import.meta.url));
  const { hostname, port } = new URL(gateway.url);
  let isReady = false;
  const onOutput = (): void => void (isReady = true);
  const argv = [process.execPath, relay, GATEWAY, String(RELAY_PORT), hostname, port, "20", "90"];
  fleet.start(argv, { onOutput, timeoutMs: TIMEOUT_MS });
  await waitFor("the relay", () => isReady);
  return `http://${GATEWAY}:${RELAY_PORT}`;
}

interface Node {
  /** `sky` that has to succeed. */
  readonly sky: (...args: readonly string[]) => Promise<RunResult>;
  /** A URL by which anybody may read an object. */
  readonly sign: (key: string) => Promise<string>;
  /** A command of the node that writes an object to its output. */
  readonly awsCopy: (key: string) => string;
}

/** A machine at the end of the way, with the bucket mounted twice. */
async function openNode(way: Way, pool: SshPool): Promise<Node> {
  const { sandbox, fleet } = pool;
  const gateway = await S3Gateway.startIn(fleet);
  writeParts(gateway);
  const url = await layWay(way, pool, gateway);
  const server = { ...gateway.env, AWS_ENDPOINT_URL_S3: url, AWS_DEFAULT_REGION: "us-east-1" };
  const env = sandbox.env(server);
  sandbox.write("../home/.sky/config.yaml", "aws: {remote_identity: LOCAL_CREDENTIALS}\n");
  await sandbox.startServer(server);
  const sky = async (...args: readonly string[]): Promise<RunResult> => {
    const result = await sandbox.sky(args, { env, timeoutMs: TIMEOUT_MS });
    if (result.exitCode === 0) return result;
    throw new Error(`sky ${args.join(" ")}: ${result.exitCode}\n${result.stdout}${result.stderr}`);
  };
  await sky("ssh", "up");
  await sky("launch", "-y", "-c", "c", sandbox.write("task.yaml", TASK));
  const sign = async (key: string): Promise<string> => {
    const argv = [AWS, "--endpoint-url", url, "s3", "presign", `s3://reads/${key}`];
    return (await sandbox.start(argv, { env }).result).stdout.trim();
  };
  const { accessKeyId, secretAccessKey } = gateway.keys;
  const keys = `AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey} AWS_DEFAULT_REGION=us-east-1`;
  const awsCopy = (key: string): string => `${keys} ${AWS} --endpoint-url ${url} s3 cp s3://reads/${key} -`;
  return { sky, sign, awsCopy };
}

/** MB/s of a command that reads one of the parts. */
async function rateOf({ sky }: Node, command: string): Promise<number> {
  const script = `a=$(date +%s%N); ${command} > /dev/null && echo took $(($(date +%s%N) - a))`;
  const took = /took (\d+)/u.exec((await sky("exec", "c", script)).stdout)?.[1];
  if (took === undefined) throw new Error(`${command} failed.`);
  return (READ_MIB * MIB * 1000) / Number(took);
}

async function measureWay(way: Way, say: Say): Promise<ReadRates> {
  const rclone = findRclone();
  const pool = await createSshPool([
    { name: "n0", python: true, ...(rclone === undefined ? {} : { installed: { rclone } }) },
  ]);
  try {
    const node = await openNode(way, pool);
    const rates: Omit<ReadRates, "way">[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const plain = await rateOf(node, `curl -sf '${await node.sign(`part${run}`)}'`);
      const aws = await rateOf(node, node.awsCopy(`part${run}`));
      const readOnly = await rateOf(node, `cat ~/r/part${run}`);
      const writable = await rateOf(node, `cat ~/w/part${run}`);
      rates.push({ plain, aws, readOnly, writable });
      const shown = [plain, aws, readOnly, writable].map((rate) => rate.toFixed(0)).join(", ");
      say(`  ${way.name}: curl, aws s3 cp, mounted to read only, to write, too: ${shown} MB/s`);
    }
    const of = (key: Exclude<keyof ReadRates, "way">): number => median(rates.map((one) => one[key]));
    return {
      way: way.name,
      plain: of("plain"),
      aws: of("aws"),
      readOnly: of("readOnly"),
      writable: of("writable"),
    };
  } finally {
    await pool.dispose();
  }
}

/** Undefined where there is no second S3 server or no fleet. */
export async function measureReads(say: Say, ways = WAYS): Promise<readonly ReadRates[] | undefined> {
  const reason = findGateway() === undefined ? "there is no versitygw (SKY_S3_GATEWAY)" : whyNoFleet();
  if (reason !== undefined) {
    say(`Reads through mounts are not measured: ${reason}.`);
    return undefined;
  }
  say("buckets: reads through mounts");
  const rates: ReadRates[] = [];
  for (const way of ways) rates.push(await measureWay(way, say));
  return rates;
}

/** Rows of the table of figures. */
export function readFigures(measured: readonly ReadRates[] | undefined, ways = WAYS): Figure[] {
  return ways.flatMap(({ name }) => {
    const rates = measured?.find(({ way }) => way === name);
    const against = (client: string, target = 0): Figure[] => [
      atLeast(
        `512 MiB of a bucket mounted to read only, ${name}, against \`${client}\` × 0.8`,
        "MB/s",
        target * 0.8,
        rates?.readOnly,
      ),
      atLeast("the same, mounted to write, too", "MB/s", target * 0.8, rates?.writable),
    ];
    return [...against("aws s3 cp", rates?.aws), ...against("curl", rates?.plain)];
  });
}

if (import.meta.main) {
  const wanted = process.argv[2];
  const ways = WAYS.filter(({ name }) => wanted === undefined || name.includes(wanted));
  const measured = await measureReads((text) => process.stderr.write(`${text}\n`), ways);
  process.stdout.write(`${renderFigures(readFigures(measured, ways))}\n`);
}
