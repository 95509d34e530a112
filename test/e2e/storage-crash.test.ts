import { readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { GetBucketTaggingCommand, HeadObjectCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { BucketRig, type Ran } from "../support/s3/bucket-rig.ts";
import { CuttingProxy } from "../support/s3/cutting-proxy.ts";
import { HeldS3 } from "../support/s3/held-s3.ts";
import { plainText } from "./support/plain-text.ts";
import { waitFor } from "./support/wait-for.ts";

const MIB = 1024 * 1024;
const LONG_MS = 300_000;

/** The making of buckets is in storage.test.ts. */
describe.skipIf(findMoto() === undefined)("kill -9 of the server while buckets are removed or filled", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
    rig.sandbox.write("src/a.txt", "one\n");
  });

  afterAll(() => rig?.dispose());

  async function restart(extra: Readonly<Record<string, string>> = {}): Promise<void> {
    if (rig.sandbox.serverProcesses().length > 0) await rig.sandbox.killServer();
    await rig.sandbox.startServer({ ...rig.env, ...extra });
  }

  async function make(bucket: string, more = ""): Promise<void> {
    const { exitCode, text } = await rig.launch(
      "c",
      `file_mounts: {~/${bucket}: {name: ${bucket}, source: ./src, mode: COPY${more}}}`,
    );
    expect(exitCode, text).toBe(0);
  }

  async function listed(): Promise<readonly string[]> {
    const records: unknown = JSON.parse((await rig.sky("storage", "ls", "-o", "json")).stdout);
    return (records as readonly { readonly name: string }[]).map(({ name }) => name);
  }

  /** Has everything reach S3 through a door, at which a test can hold it. */
  async function behind<T>(work: (door: HeldS3, sky: typeof rig.sky) => Promise<T>): Promise<T> {
    const door = await HeldS3.open(rig.moto.url);
    const env = { ...rig.env, AWS_ENDPOINT_URL: door.url };
    const sky = async (...args: readonly string[]): Promise<Ran> => {
      const result = await rig.sandbox.sky(args, { env: rig.sandbox.env(env), timeoutMs: 90_000 });
      return { ...result, text: plainText(result.stdout + result.stderr) };
    };
    try {
      return await work(door, sky);
    } finally {
      door.close();
    }
  }

  /** Where a command passes that removes a bucket. */
  async function pointsOf(...command: readonly string[]): Promise<readonly string[]> {
    const list = join(rig.sandbox.root, `points-${command[0]}`);
    await restart({ SKYPILOT_FAILPOINT_LIST: list });
    expect((await rig.sky(...command)).exitCode).toBe(0);
    const points = readFileSync(list, "utf8").trim().split("\n");
    return [...new Set(points)].filter((point) => point.startsWith("storage-delete."));
  }

  /** Kills the server at a point of a command, and expects that it goes on with a new one and leaves nothing unknown. */
  async function survives(point: string, bucket: string, command: readonly string[]): Promise<void> {
    await restart({ SKYPILOT_FAILPOINT: point });
    const death = rig.sandbox.watchServer();
    const client = rig.sandbox.startSky(command, { env: rig.sandbox.env(rig.env), timeoutMs: 90_000 });
    await death(`the server to die at ${point}`);
    await restart();
    // In this order: the row goes after its bucket.
    const rows = await listed();
    if ((await rig.buckets()).includes(bucket)) expect(rows, point).toContain(bucket);
    const result = await client.result;
    expect(result.exitCode, `${point}\n${plainText(result.stdout + result.stderr)}`).toBe(0);
    expect(await rig.buckets(), point).not.toContain(bucket);
    expect(await listed(), point).not.toContain(bucket);
  }

  it("a bucket whose making was cut off is finished by a launch that goes on", { timeout: LONG_MS }, async () => {
    await restart();
    await behind(async (door, sky) => {
      door.holds = (call) => call.startsWith("PUT /half/?tagging");
      const yaml = "resources: {infra: local}\nfile_mounts: {~/half: {name: half, source: ./src, mode: COPY}}\n";
      const task = rig.sandbox.write("half.yaml", yaml);
      const launched = sky("launch", "-y", "-c", "c", "--config", "aws.labels={team: a}", task);
      await waitFor("the labels to be set", () => door.held.length > 0);
      await rig.sandbox.killServer();
      door.release();
      await restart();
      const { exitCode, text } = await launched;
      expect(exitCode, text).toBe(0);
      const { TagSet } = await rig.s3.send(new GetBucketTaggingCommand({ Bucket: "half" }));
      expect(TagSet).toEqual([{ Key: "team", Value: "a" }]);
      expect((await sky("storage", "delete", "-y", "half")).text).toBe("Deleted S3 bucket half.\n");
    });
  });

  it("a deletion that is cancelled stops, and can be repeated", { timeout: LONG_MS }, async () => {
    await restart();
    await behind(async (door, sky) => {
      const yaml = "resources: {infra: local}\nfile_mounts: {~/spared: {name: spared, source: ./src, mode: COPY}}\n";
      expect((await sky("launch", "-y", "-c", "c", rig.sandbox.write("spared.yaml", yaml))).exitCode).toBe(0);
      door.holds = (call) => call.startsWith("POST /spared/?delete");
      const submitted = await sky("storage", "delete", "-y", "--async", "spared");
      await waitFor("objects to be deleted", () => door.held.length > 0);
      const [id = ""] = /[0-9a-f]{8}-[0-9a-f-]{27}/u.exec(submitted.text) ?? [];
      expect((await sky("api", "cancel", id)).exitCode).toBe(0);
      await waitFor("its end", async () => (await sky("api", "status", id)).text.includes("CANCELLED"));
      door.release();
      expect(await listed()).toEqual(["spared"]);
      expect(await rig.keysOf("spared")).toEqual(["a.txt"]);
      expect((await sky("storage", "delete", "-y", "spared")).text).toBe("Deleted S3 bucket spared.\n");
    });
  });

  it("`sky storage delete` goes on to its end", { timeout: LONG_MS }, async () => {
    await make("recorded");
    const points = await pointsOf("storage", "delete", "-y", "recorded");
    expect(points.length).toBeGreaterThanOrEqual(8);
    for (const [index, point] of points.entries()) {
      const bucket = `gone-${index}`;
      await make(bucket);
      await survives(point.replace("recorded", bucket), bucket, ["storage", "delete", "-y", bucket]);
    }
  });

  it("`sky down` removes what does not persist", { timeout: LONG_MS }, async () => {
    await make("down-recorded", ", persistent: false");
    const points = await pointsOf("down", "-y", "c");
    expect(points.length).toBeGreaterThanOrEqual(8);
    for (const [index, point] of points.entries()) {
      const bucket = `down-${index}`;
      await make(bucket, ", persistent: false");
      await survives(point.replace("down-recorded", bucket), bucket, ["down", "-y", "c"]);
    }
  });

  it("an upload in parts goes on where it was, and leaves no other behind", { timeout: LONG_MS }, async () => {
    const size = 300 * MIB;
    truncateSync(rig.sandbox.write("src/large.bin", ""), size);
    const proxy = await CuttingProxy.start(rig.moto.url);
    const env = { AWS_ENDPOINT_URL: proxy.url };
    await restart(env);
    const file = rig.sandbox.write(
      "parts.yaml",
      "resources: {infra: local}\nfile_mounts: {~/parts: {name: parts, source: ./src, mode: COPY}}",
    );
    const launched = rig.sandbox.startSky(["launch", "-y", "-c", "c", file], {
      env: rig.sandbox.env({ ...rig.env, ...env }),
      timeoutMs: 90_000,
    });
    await waitFor("parts to be sent", () => proxy.parts.length > 8);
    await rig.sandbox.killServer();
    const uploads = async (): Promise<number> =>
      (await rig.s3.send(new ListMultipartUploadsCommand({ Bucket: "parts" }))).Uploads?.length ?? 0;
    expect(await uploads()).toBe(1);
    const sent = proxy.parts.length;
    await restart(env);
    const { exitCode, stdout, stderr } = await launched.result;
    expect(exitCode, plainText(stdout + stderr)).toBe(0);
    // Four were under way.
    expect(proxy.parts.length).toBeLessThanOrEqual(Math.ceil(size / (8 * MIB)) + 4);
    expect(proxy.parts.length).toBeGreaterThan(sent);
    const whole = await rig.s3.send(new HeadObjectCommand({ Bucket: "parts", Key: "large.bin" }));
    expect(whole.ContentLength).toBe(size);
    expect(await uploads()).toBe(0);
    expect(readdirSync(join(rig.sandbox.home, ".sky/ts/unfinished-uploads/s3"))).toEqual([]);
    const deletion = ["storage", "delete", "-y", "parts"];
    const deleted = await rig.sandbox.sky(deletion, { env: rig.sandbox.env({ ...rig.env, ...env }) });
    expect(plainText(deleted.stdout + deleted.stderr)).toBe("Deleted S3 bucket parts.\n");
    await proxy.close();
    expect(await rig.buckets()).toEqual([]);
  });
});
