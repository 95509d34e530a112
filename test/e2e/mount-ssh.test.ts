import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { Moto } from "../support/aws/moto.ts";
import { S3Front } from "../support/s3/s3-front.ts";
import { plainText } from "./support/plain-text.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const SECRET = "canary-static-4f1c0d2e9a";

const MOUNTS = `
resources: {infra: ssh/rack}
num_nodes: 2
file_mounts:
  ~/data: {name: my-data, source: ./src}
  ~/part: {source: s3://extern/some/part, mode: MOUNT, config: {mount: {read_only: true}}}
run: |
  cat ~/data/a.txt ~/part/inner.txt
  echo "rank $SKYPILOT_NODE_RANK" > ~/data/rank-$SKYPILOT_NODE_RANK.txt
  echo more >> ~/data/rank-$SKYPILOT_NODE_RANK.txt
  echo no > ~/part/no 2>/dev/null || echo read only
`;

describeWithFleet("buckets mounted on machines over SSH", () => {
  let pool: SshPool;
  let moto: Moto;
  let front: S3Front;
  let s3: S3Client;

  beforeAll(async () => {
    [pool, moto] = await Promise.all([createSshPool([{ name: "a" }, { name: "b" }]), Moto.start()]);
    front = await S3Front.open(pool.fleet, moto.url);
    const keys = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials: keys, forcePathStyle: true });
    await moto.createBucket("extern");
    for (const [key, text] of Object.entries({ "some/part/inner.txt": "inner\n", "other.txt": "other\n" })) {
      await s3.send(new PutObjectCommand({ Bucket: "extern", Key: key, Body: text }));
    }
    pool.sandbox.write("src/a.txt", "one\n");
    pool.sandbox.write("mounts.yaml", MOUNTS);
    await pool.sandbox.startServer(awsEnv());
    await sky("ssh", "up");
    await sky("check", "aws");
  });

  afterAll(async () => {
    s3?.destroy();
    await pool?.dispose();
    await front?.close();
    moto?.stop();
  });

  const awsEnv = (): Record<string, string> => ({
    AWS_ENDPOINT_URL: front.url,
    AWS_ACCESS_KEY_ID: "AKIAEXAMPLE",
    AWS_SECRET_ACCESS_KEY: SECRET,
    AWS_EC2_METADATA_DISABLED: "true",
  });

  async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await pool.sandbox.sky(args, { env: pool.sandbox.env(awsEnv()) });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  async function on(host: string, script: string): Promise<string> {
    return (await pool.fleet.host(host).exec(["sh", "-c", script], { user: "dev" })).stdout;
  }

  async function textOf(bucket: string, key: string): Promise<string | undefined> {
    const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return object.Body?.transformToString();
  }

  async function keysOf(bucket: string): Promise<string[]> {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  it("are there for setup and run, whole or a part, to read and to write", async () => {
    const { text, exitCode } = await sky("launch", "-y", "-c", "c", "mounts.yaml");
    expect(exitCode, text).toBe(0);
    expect(text).toContain("Nodes mount buckets with keys for these alone, by a federation token of");
    expect(text).toContain("  Mounting (to 2 nodes): s3://my-data -> ~/data\n");
    expect(text).toContain("✓ Storage mounted.");
    expect(text.match(/\) (?:one|inner|read only)$/gmu)).toHaveLength(6);
    expect(await textOf("my-data", "rank-0.txt")).toBe("rank 0\nmore\n");
    expect(await textOf("my-data", "rank-1.txt")).toBe("rank 1\nmore\n");
    expect(await on("a", "ls ~/part")).toBe("inner.txt\n");
  });

  it("a program that dies is started again, and a job waits for it", async () => {
    expect(pool.fleet.host("a").signal(/rclone.*my-data/u, "SIGKILL")).toBe(1);
    const { text, exitCode } = await sky("exec", "c", "cat ~/data/a.txt");
    expect(exitCode, text).toBe(0);
    expect(text).toContain(") one\n");
  });

  it("go with the cluster, and what is in the buckets stays", async () => {
    const before = await keysOf("my-data");
    const { text, exitCode } = await sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    for (const host of ["a", "b"]) {
      expect(await on(host, "grep fuse /proc/mounts; ls -A ~ | grep -v '^[.]'; true"), host).toBe("");
      await waitFor("rclone to end", () =>
        pool.fleet
          .host(host)
          .processes()
          .every(({ argv }) => !argv.join(" ").includes("rclone")),
      );
    }
    expect(await keysOf("my-data")).toEqual(before);
    expect(await keysOf("extern")).toEqual(["other.txt", "some/part/inner.txt"]);
  });
});
