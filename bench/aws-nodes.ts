/** Measures clusters on EC2, which moto plays with hosts of a fleet as its machines; run by itself it prints the table. */
import { DescribeInstancesCommand, RunInstancesCommand, StopInstancesCommand } from "@aws-sdk/client-ec2";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { plainText } from "../test/e2e/support/plain-text.ts";

import { waitFor } from "../test/e2e/support/wait-for.ts";
import { findReference, type Reference } from "../test/e2e/support/reference.ts";
import { whyNoFleet } from "../test/fleet/requirements.ts";
import { AwsUser } from "../test/support/aws/aws-user.ts";
import { MotoFleet } from "../test/support/aws/moto-fleet.ts";
import { launchByOriginal, type OriginalLaunch } from "./original-launch.ts";
import { atMost, median, renderFigures, type Figure } from "./cli-figures.ts";

const LATENCY_MS = 50;
const LAUNCHES = 3;
const CLUSTERS = 200;
const CALLS_PER_SECOND = 5;
const ROLE = "skypilot-v1";

export interface AwsNodeFigures {
  /** Calls to AWS of somebody's first launch, up to the one for the instance. */
  readonly calls: number;
  readonly runInstancesMs: number;
  /** The same by the original; undefined where it is not installed. */
  readonly original: OriginalLaunch | undefined;
  readonly firstLineMs: number;
  readonly statusMs: number;
  readonly describes: number;
}

interface Launched {
  readonly calls: number;
  /** From Enter to the request for the instance. */
  readonly runInstancesMs: number;
  /** From the moment that the machine is on to the first line of the job. */
  readonly firstLineMs: number;
}

async function launch(aws: MotoFleet, user: AwsUser, name: string): Promise<Launched> {
  const startedMs = Date.now();
  aws.proxy.calls.length = 0;
  let seen = "";
  let firstMs: number | undefined;
  const program = user.sandbox.startSky(
    ["launch", "-y", "-c", name, "--infra", "aws/us-east-1", "--cpus", "2", "echo first line"],
    {
      timeoutMs: 300_000,
      onOutput: (text) => {
        seen += text;
        if (/\) first line$/mu.test(plainText(seen))) firstMs ??= Date.now();
      },
    },
  );
  let onMs: number | undefined;
  const look = setInterval(() => {
    const instance = [...aws.proxy.world.ledger.values()].find((each) => each.cluster.startsWith(`${name}-`));
    if (instance !== undefined && aws.isOn(instance.id)) onMs ??= Date.now();
  }, 5);
  const { exitCode } = await program.result.finally(() => clearInterval(look));
  const calls = aws.proxy.calls.findIndex((call) => call.action === "ec2:RunInstances") + 1;
  const runMs = aws.proxy.calls[calls - 1]?.atMs;
  if (exitCode !== 0 || firstMs === undefined || onMs === undefined || runMs === undefined) throw new Error(seen);
  return { calls, runInstancesMs: runMs - startedMs, firstLineMs: firstMs - onMs };
}

/** Makes `CLUSTERS - 1` copies of a stopped cluster, in the database and in EC2. The server must be down. */
async function copyCluster(aws: MotoFleet, home: string, name: string): Promise<void> {
  const database = new DatabaseSync(join(home, ".sky/ts/state.sqlite"));
  const row = database.prepare("select * from clusters where name = ?").get(name);
  const nameOnCloud = String(row?.["name_on_cloud"]);
  const ec2 = aws.moto.ec2();
  const filter = { Name: "tag:ray-cluster-name", Values: [nameOnCloud] };
  const answer = await ec2.send(new DescribeInstancesCommand({ Filters: [filter] }));
  const instance = answer.Reservations?.[0]?.Instances?.[0];
  const columns = Object.keys(row ?? {});
  const places = columns.map(() => "?").join(", ");
  const insert = database.prepare(`insert into clusters (${columns.join(", ")}) values (${places})`);
  for (let index = 1; index < CLUSTERS; index += 1) {
    const copied = `${name}-copy${index}`;
    const tags = (instance?.Tags ?? []).map(({ Key, Value = "" }) => ({
      Key,
      Value: Value.replaceAll(nameOnCloud, copied),
    }));
    const made = await ec2.send(
      new RunInstancesCommand({
        ImageId: instance?.ImageId,
        InstanceType: "m6i.large",
        MinCount: 1,
        MaxCount: 1,
        TagSpecifications: [{ ResourceType: "instance", Tags: tags }],
      }),
    );
    await ec2.send(new StopInstancesCommand({ InstanceIds: [made.Instances?.[0]?.InstanceId ?? ""] }));
    const own: Readonly<Record<string, SQLInputValue>> = {
      name: copied,
      name_on_cloud: copied,
      cluster_hash: `${copied}-hash`,
    };
    insert.run(...columns.map((column) => own[column] ?? row?.[column] ?? null));
  }
  database.close();
}

async function measureStatus(aws: MotoFleet, user: AwsUser): Promise<Pick<AwsNodeFigures, "statusMs" | "describes">> {
  await user.sky("stop", "-y", "c0");
  await user.sandbox.killServer();
  await copyCluster(aws, user.sandbox.home, "c0");
  aws.proxy.calls.length = 0;
  await user.sandbox.startServer();
  // The server looks by itself as soon as it runs, and then each minute.
  await waitFor("the server's own look", () => aws.proxy.counts()["ec2:DescribeInstances"] !== undefined);
  aws.proxy.callsPerSecond = CALLS_PER_SECOND;
  aws.proxy.calls.length = 0;
  const result = await user.sandbox.sky(["status", "-r"], { timeoutMs: 120_000 });
  const describes = aws.proxy.counts()["ec2:DescribeInstances"] ?? 0;
  const stopped = result.stdout.match(/ STOPPED /gu)?.length ?? 0;
  if (result.exitCode !== 0 || stopped !== CLUSTERS) throw new Error(`${stopped} clusters\n${result.stdout}`);
  return { statusMs: result.elapsedMs, describes };
}

/** In networks of their own, with the role of nodes there already. */
async function measureOriginal(reference: Reference): Promise<OriginalLaunch> {
  const aws = await MotoFleet.create();
  try {
    await aws.moto.createRole(ROLE);
    aws.proxy.latencyMs = LATENCY_MS;
    return await launchByOriginal(aws, reference);
  } finally {
    await aws.dispose();
  }
}

/** Undefined where no fleet can be made. */
export async function measureAwsNodes(
  reference: Reference | undefined,
  say: (text: string) => void,
): Promise<AwsNodeFigures | undefined> {
  const reason = whyNoFleet();
  if (reason !== undefined) {
    say(`Clusters on EC2 are not measured: ${reason}.`);
    return undefined;
  }
  say("EC2: launches");
  const original = reference === undefined ? undefined : await measureOriginal(reference);
  const aws = await MotoFleet.create();
  try {
    const user = await AwsUser.create(aws);
    try {
      await user.sandbox.startServer();
      await aws.moto.createRole(ROLE);
      aws.proxy.latencyMs = LATENCY_MS;
      const launches: Launched[] = [await launch(aws, user, "c0")];
      for (let run = 1; run < LAUNCHES; run += 1) launches.push(await launch(aws, user, `c${run}`));
      for (let run = 1; run < LAUNCHES; run += 1) await user.sky("down", "-y", `c${run}`);
      say(`EC2: ${CLUSTERS} clusters`);
      const status = await measureStatus(aws, user);
      return {
        original,
        // Of the first, which finds nothing remembered.
        calls: launches[0]?.calls ?? 0,
        runInstancesMs: launches[0]?.runInstancesMs ?? 0,
        firstLineMs: median(launches.map((one) => one.firstLineMs)),
        ...status,
      };
    } finally {
      await user.dispose();
    }
  } finally {
    await aws.dispose();
  }
}

/** Rows of the table of figures. */
export function awsNodeFigures(measured: AwsNodeFigures | undefined): Figure[] {
  return [
    {
      what: "first `sky launch` on EC2, nothing cached: calls to AWS up to RunInstances (60 % of the original's)",
      unit: "",
      target: { kind: "times-fewer", factor: 1.67 },
      ours: measured?.calls,
      original: measured?.original?.calls,
    },
    {
      what: `the same, ${LATENCY_MS} ms a call: Enter to RunInstances`,
      unit: "ms",
      target: { kind: "at-most", value: 1500 },
      ours: measured?.runInstancesMs,
      original: measured?.original?.runInstancesMs,
    },
    atMost("the same: machine on to first output line, runtime included", "ms", 3000, measured?.firstLineMs),
    atMost(
      `${CLUSTERS} clusters in a region that throttles at ${CALLS_PER_SECOND} calls a second: \`sky status -r\``,
      "ms",
      5000,
      measured?.statusMs,
    ),
    atMost("the same: calls of DescribeInstances", "", 1, measured?.describes),
  ];
}

if (import.meta.main) {
  const measured = await measureAwsNodes(findReference(), (text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${renderFigures(awsNodeFigures(measured))}\n`);
}
