import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { Moto } from "../support/aws/moto.ts";
import { R2Front } from "../support/s3/r2-front.ts";
import { filesBelow, findCanaries } from "./support/canaries.ts";
import { plainText } from "./support/plain-text.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const TASK = `
resources: {infra: ssh/rack}
num_nodes: 2
file_mounts:
  ~/data: {name: my-data, source: ./src, store: r2}
  ~/part: {source: r2://extern/some/part, config: {mount: {read_only: true}}}
  ~/ckpt: {source: r2://extern/ckpt, mode: MOUNT_CACHED, type: MODEL_CHECKPOINT_RW}
  ~/copied: r2://extern/some
run: |
  cat ~/data/a.txt ~/part/inner.txt ~/copied/part/inner.txt
  echo "rank $SKYPILOT_NODE_RANK" > ~/data/rank-$SKYPILOT_NODE_RANK.txt
  mkdir -p ~/ckpt/$SKYPILOT_NODE_RANK
  head -c 300000 /dev/urandom > ~/ckpt/$SKYPILOT_NODE_RANK/weights
  echo no > ~/part/no 2>/dev/null || echo read only
`;

describeWithFleet("buckets of R2 on machines over SSH", () => {
  let pool: SshPool;
  let moto: Moto;
  let r2: R2Front;
  let s3: S3Client;

  beforeAll(async () => {
    [pool, moto] = await Promise.all([createSshPool([{ name: "a" }, { name: "b" }]), Moto.start()]);
    r2 = await R2Front.startIn(pool.fleet, moto.url);
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
    await moto.createBucket("extern");
    await s3.send(new PutObjectCommand({ Bucket: "extern", Key: "some/part/inner.txt", Body: "inner\n" }));
    mkdirSync(join(pool.sandbox.home, ".cloudflare"), { mode: 0o700 });
    writeFileSync(join(pool.sandbox.home, ".cloudflare/accountid"), `${r2.accountId}\n`);
    writeKeys();
    pool.sandbox.write("src/a.txt", "one\n");
    await pool.sandbox.startServer(env());
    await sky("ssh", "up");
    await sky("check", "cloudflare");
  });

  afterAll(async () => {
    s3?.destroy();
    await pool?.dispose();
    await r2?.close();
    moto?.stop();
  });

  const env = (): Record<string, string> => ({ AWS_EC2_METADATA_DISABLED: "true" });

  function writeKeys(): void {
    writeFileSync(join(pool.sandbox.home, ".cloudflare/r2.credentials"), r2.credentialsFile, { mode: 0o600 });
  }

  async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await pool.sandbox.sky(args, { env: pool.sandbox.env(env()) });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  const launch = (yaml: string): ReturnType<typeof sky> =>
    sky("launch", "-y", "-c", "c", pool.sandbox.write("task.yaml", yaml));

  async function textOf(bucket: string, key: string): Promise<string | undefined> {
    return (await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body?.transformToString();
  }

  it("are mounted and copied by keys that reach what they are for, and nothing else", async () => {
    const { text, exitCode } = await launch(TASK);
    expect(exitCode, text).toBe(0);
    expect(text).toContain("keys for these alone, by temporary credentials of the R2 API token;");
    expect(text.match(/\) (?:one|inner|read only)$/gmu)).toHaveLength(8);
    expect(await textOf("my-data", "rank-1.txt")).toBe("rank 1\n");
    const page = await s3.send(new ListObjectsV2Command({ Bucket: "extern", Prefix: "ckpt/" }));
    expect((page.Contents ?? []).map(({ Key }) => Key)).toEqual(["ckpt/0/weights", "ckpt/1/weights"]);
    const scopes = [...r2.temporary].map((text) => {
      const { bucket, scope, paths } = JSON.parse(text) as { bucket: string; scope: string; paths?: object };
      return [bucket, scope, JSON.stringify(paths)].join(" ");
    });
    expect(scopes.sort()).toEqual([
      'extern object-read-only {"prefixPaths":["some/part/"],"objectPaths":[]}',
      'extern object-read-write {"prefixPaths":["ckpt/"],"objectPaths":[]}',
      "my-data object-read-write ",
    ]);
    expect([r2.refusals, r2.unknown]).toEqual([[], []]);
  });

  it("no disk, log, database or command line holds a key", async () => {
    const { sandbox, hosts } = pool;
    const own = (path: string): boolean => path.includes("/.cloudflare/");
    const places = new Map(filesBelow(sandbox.root, own));
    for (const host of hosts) {
      for (const folder of ["home", "tmp", "var", "run", "root"]) {
        const seen = (await host.exec(["sh", "-c", `find /${folder} -xdev -type f -size -20M`])).stdout.split("\n");
        for (const path of seen.filter((one) => one !== "")) {
          places.set(`${host.name}:${path}`, (await host.exec(["cat", path])).stdout);
        }
      }
      for (const { pid, argv } of host.processes()) places.set(`${host.name}: process ${pid}`, argv.join("\0"));
    }
    expect([...places.keys()].filter((place) => place.includes("mounts.json")).length).toBeGreaterThan(0);
    expect(r2.lent.size).toBeGreaterThan(0);
    expect(findCanaries(places, [r2.keys.secretAccessKey, ...r2.lent])).toEqual([]);
  });

  it("a launch gives mounts keys of another token, where the one before it is gone", async () => {
    r2.keys = { accessKeyId: "f00d0000000000000000000000000002", secretAccessKey: `cana48${"1f".repeat(29)}` };
    const broken = await sky("exec", "c", "ls ~/data; cat ~/part/inner.txt");
    expect(broken.exitCode, broken.text).toBe(100);
    writeKeys();
    const { text, exitCode } = await launch(TASK);
    expect(exitCode, text).toBe(0);
    expect(text.match(/\) (?:one|inner|read only)$/gmu)).toHaveLength(8);
  });

  it("a token that was taken back is said in the status of the cluster, and in the log of the job that writes", async () => {
    r2.refusesTemporary = true;
    await pool.sandbox.killServer();
    await pool.sandbox.startServer(env());
    const { text, exitCode } = await sky("exec", "c", "echo late > ~/data/late.txt");
    expect(exitCode, text).toBe(100);
    // The first where the directory has to be listed before, the second where what is in it is still known.
    expect(text).toMatch(
      /~\/data met a refusal of R2: IO error: Unauthorized|What was written to ~\/data is not in r2:\/\/my-data: .*Unauthorized/u,
    );
    // What the server that was there before gave lives on: a node that has lost its keys asks for new ones.
    for (const host of pool.hosts) host.signal(/agent\.cjs daemon/u, "SIGKILL");
    const reason = "Cloudflare R2 does not take temporary credentials of the R2 API token";
    // What happens to the cluster hides it no longer than it takes: a look says so once all agents are back.
    await waitFor("the reason in the status", async () => (await sky("status", "-r", "-v")).text.includes(reason), {
      timeoutMs: 120_000,
    });
  });
});
