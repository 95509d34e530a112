import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysEnv } from "../support/aws/keys-env.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { HeldS3 } from "../support/s3/held-s3.ts";
import { rcloneEnv } from "../support/s3/rclone.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const LONG_MS = 240_000;
const TASK = `
resources: {infra: local, cpus: 1}
num_nodes: 2
file_mounts:
  ~/ckpt: {source: s3://ckpt, mode: MOUNT_CACHED}
run: ls ~/ckpt
`;

/** Uploads that go on for ever wait at the door to S3. */
describe.skipIf(findMoto() === undefined)("the end of a cluster by --graceful and --graceful-timeout", () => {
  let moto: Moto;
  let door: HeldS3;
  let sandbox: Sandbox;
  let s3: S3Client;

  beforeAll(async () => {
    moto = await Moto.start();
    door = await HeldS3.open(moto.url);
    sandbox = await Sandbox.create();
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
    await moto.createBucket("ckpt");
    sandbox.write("task.yaml", TASK);
    await sandbox.startServer(awsEnv());
    await sky("check", "aws");
  });

  afterAll(async () => {
    s3?.destroy();
    await sandbox?.dispose();
    door?.close();
    moto?.stop();
  });

  const awsEnv = (): Record<string, string> => ({
    ...rcloneEnv(sandbox),
    ...keysEnv(door.url),
  });

  function begin(...args: readonly string[]): Promise<{ readonly text: string; readonly exitCode: number | null }> {
    const { result } = sandbox.startSky(args, { env: sandbox.env(awsEnv()), timeoutMs: 170_000 });
    return result.then(({ stdout, stderr, exitCode }) => ({ text: plainText(stdout + stderr), exitCode }));
  }

  async function sky(...args: readonly string[]): Promise<string> {
    const { text, exitCode } = await begin(...args);
    expect(exitCode, text).toBe(0);
    return text;
  }

  async function keys(): Promise<readonly string[]> {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: "ckpt" }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  /** A job that has written a file on each of two nodes, whose uploads do not end before the door opens. */
  async function write(name: string): Promise<void> {
    door.holds = (call) => call.startsWith(`PUT /ckpt/${name}-`);
    const script = `echo kept > ~/ckpt/${name}-$SKYPILOT_NODE_RANK; sleep 600`;
    await sky("exec", "-d", "c", "--num-nodes", "2", script);
    const isSending = (rank: number): boolean => door.held.some((call) => call.startsWith(`PUT /ckpt/${name}-${rank}`));
    await waitFor("the uploads of both nodes", () => isSending(0) && isSending(1));
  }

  /** Waits until the head's agent was told so many times how long it is to wait. */
  async function waitForOrders(count: number, uploadWait: string): Promise<void> {
    const orders = (): number => {
      const clusters = join(sandbox.home, ".sky/local");
      const [name = ""] = readdirSync(clusters).filter((one) => one.startsWith("c-"));
      const lines = readFileSync(join(clusters, name, "node0/agent/agent.log"), "utf8").split("\n");
      return lines.filter((line) => line.includes("told to end") && line.includes(`"uploadWait":"${uploadWait}"`))
        .length;
    };
    await waitFor("the agent to be told", () => orders() === count);
  }

  it("a stop gives up after its time, and what is left is sent after a start", { timeout: LONG_MS }, async () => {
    await sky("launch", "-y", "-c", "c", "task.yaml");
    await write("left");
    expect(await sky("stop", "-y", "--graceful", "--graceful-timeout", "2", "c")).toContain(
      "Stopping cluster c...done.",
    );
    expect(await keys()).toEqual([]);
    door.release();
    await sky("start", "-y", "c");
    await waitFor("the files", async () => (await keys()).length === 2);
    expect(await keys()).toEqual(["left-0", "left-1"]);
  });

  it("a stop without a time waits for both nodes, also when the server dies", { timeout: LONG_MS }, async () => {
    await write("late");
    const stopping = begin("stop", "-y", "--graceful", "c");
    await waitForOrders(1, "unlimited");
    expect(await sky("api", "status", "-v")).toMatch(/sky\.stop +c .*WAITING/u);
    await sandbox.killServer();
    await sandbox.startServer(awsEnv());
    await waitForOrders(2, "unlimited");
    expect(await keys()).not.toContain("late-0");
    door.release();
    const { text, exitCode } = await stopping;
    expect(exitCode, text).toBe(0);
    expect(text).not.toContain("WARNING");
    expect(await keys()).toEqual(["late-0", "late-1", "left-0", "left-1"]);
  });

  it("who waits for ever may ask again for less, and is told what is lost", { timeout: LONG_MS }, async () => {
    await sky("start", "-y", "c");
    await write("lost");
    const first = begin("down", "-y", "--graceful", "c");
    await waitForOrders(3, "unlimited");
    const text = await sky("down", "-y", "--graceful-timeout", "2", "c");
    for (const node of [0, 1]) {
      expect(text).toContain(
        `WARNING: What was written to ~/ckpt could not all be sent to s3://ckpt within 2 seconds. It is lost with node ${node}.`,
      );
    }
    expect((await first).exitCode).not.toBe(0);
    door.release();
    expect(await keys()).toEqual(["late-0", "late-1", "left-0", "left-1"]);
  });
});
