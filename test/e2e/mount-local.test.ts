import { DeleteBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysEnv } from "../support/aws/keys-env.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { hiddenMount } from "../support/s3/hidden-mount.ts";
import { rcloneEnv } from "../support/s3/rclone.ts";
import { plainText } from "./support/plain-text.ts";
import { signalProcess } from "./support/process-tree.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const TASK = `
resources: {infra: local}
file_mounts:
  ~/data: s3://precious/copied
  ~/mounted: {source: s3://precious}
run: echo new > ~/mounted/new.txt; cat ~/mounted/copied/a.txt
`;

/** Nodes that are directories of this machine: removing one must not reach through its mounts. */
describe.skipIf(findMoto() === undefined)("buckets mounted on this machine", () => {
  let moto: Moto;
  let sandbox: Sandbox;
  let s3: S3Client;

  beforeAll(async () => {
    moto = await Moto.start();
    sandbox = await Sandbox.create();
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
    await moto.createBucket("precious");
    await s3.send(new PutObjectCommand({ Bucket: "precious", Key: "copied/a.txt", Body: "one\n" }));
    sandbox.write("task.yaml", TASK);
    await sandbox.startServer(awsEnv());
    await sky("check", "aws");
  });

  afterAll(async () => {
    s3?.destroy();
    await sandbox?.dispose();
    moto?.stop();
  });

  const awsEnv = (): Record<string, string> => ({
    ...rcloneEnv(sandbox),
    ...keysEnv(moto.url),
  });

  async function sky(...args: readonly string[]): Promise<string> {
    const result = await sandbox.sky(args, { env: sandbox.env(awsEnv()) });
    const text = plainText(result.stdout + result.stderr);
    expect(result.exitCode, text).toBe(0);
    return text;
  }

  async function textOf(key: string): Promise<string | undefined> {
    const object = await s3.send(new GetObjectCommand({ Bucket: "precious", Key: key }));
    return object.Body?.transformToString();
  }

  /** Mounts below the sandbox. */
  function mounts(): string[] {
    return readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(sandbox.root));
  }

  function signalAll(pattern: RegExp, signal: NodeJS.Signals): void {
    const found = sandbox.processes().filter(({ argv }) => pattern.test(argv.join(" ")));
    expect(found.length).toBeGreaterThan(0);
    for (const { pid } of found) signalProcess(pid, signal);
  }

  it("are read, written, and there again after a stop and a start", async () => {
    expect(await sky("launch", "-y", "-c", "c", "task.yaml")).toContain(") one\n");
    expect(await textOf("new.txt")).toBe("new\n");
    await sky("stop", "-y", "c");
    expect(mounts()).toEqual([]);
    await sky("start", "-y", "c");
    expect(await sky("exec", "c", "cat ~/mounted/copied/a.txt")).toContain(") one\n");
  });

  it(
    "a bucket that was deleted is no right that is missing; what was written waits for it",
    { timeout: 180_000 },
    async () => {
      await moto.createBucket("gone");
      const file = sandbox.write(
        "gone.yaml",
        "resources: {infra: local}\nfile_mounts: {~/gone: {source: s3://gone}}\n",
      );
      await sky("launch", "-y", "-c", "gone", file);
      await s3.send(new DeleteBucketCommand({ Bucket: "gone" }));
      const env = sandbox.env(awsEnv());
      const { stdout, stderr } = await sandbox.sky(["exec", "gone", "echo kept > ~/gone/a.txt"], { env });
      const text = plainText(stdout + stderr);
      expect(text).toMatch(
        /failed: What was written to ~\/gone is not in s3:\/\/gone: upload of a\.txt: .*NoSuchBucket/u,
      );
      expect(text).not.toContain("needs s3:");
      await moto.createBucket("gone");
      const isThere = async (): Promise<boolean> =>
        s3.send(new GetObjectCommand({ Bucket: "gone", Key: "a.txt" })).then(
          () => true,
          () => false,
        );
      await waitFor("the file to be sent", isThere, { timeoutMs: 120_000 });
      await sky("down", "-y", "gone");
    },
  );

  it("one that nobody knows of is taken away before a node's directory is removed", { timeout: 120_000 }, async () => {
    const node = (index: number): string => `${sandbox.home}/.sky/local/${nameOnCloud()}/node${index}/home`;
    const nameOnCloud = (): string =>
      readdirSync(`${sandbox.home}/.sky/local`).find((name) => name.startsWith("two-")) ?? "";
    sandbox.write("two.yaml", "resources: {infra: local, cpus: 1}\nnum_nodes: 2\nrun: mkdir -p ~/own\n");
    await sky("launch", "-y", "-c", "two", "two.yaml");
    for (const index of [0, 1]) {
      const [program = "", ...args] = hiddenMount("precious", `${node(index)}/own`, { endpoint: moto.url });
      execFileSync(program, args);
      expect(readFileSync(`${node(index)}/own/copied/a.txt`, "utf8")).toBe("one\n");
    }
    const own = (): string[] => mounts().filter((line) => line.includes(`/${nameOnCloud()}/`));
    expect(own()).toHaveLength(2);
    // One node less, then none.
    await sky("launch", "-y", "-c", "two", "--resize", "--num-nodes", "1", "--cpus", "1", "--infra", "local", "ls");
    expect(own()).toHaveLength(1);
    await sky("down", "-y", "two");
    expect(mounts().filter((line) => line.includes("/two-"))).toEqual([]);
    expect(await textOf("copied/a.txt")).toBe("one\n");
  });

  it.each([
    ["the agent died", /agent\.cjs daemon/u, "SIGKILL"],
    ["rclone died", /rclone mount/u, "SIGKILL"],
    ["both died", /agent\.cjs daemon|rclone mount/u, "SIGKILL"],
    ["both hang", /agent\.cjs daemon|rclone mount/u, "SIGSTOP"],
  ] as const)(
    "`sky down` after %s leaves what is in the bucket",
    { timeout: 120_000 },
    async (_name, pattern, signal) => {
      await sky("launch", "-y", "-c", "c", "task.yaml");
      expect(mounts()).toHaveLength(1);
      await sandbox.killServer();
      signalAll(pattern, signal);
      await sandbox.startServer(awsEnv());
      await sky("down", "-y", "c");
      expect(mounts()).toEqual([]);
      const isGone = (): boolean => sandbox.processes().every(({ argv }) => !argv.join(" ").includes("rclone"));
      await waitFor("rclone to end", isGone);
      expect(await textOf("copied/a.txt")).toBe("one\n");
      expect(await textOf("new.txt")).toBe("new\n");
    },
  );
});
