import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forEachParallel } from "../../src/shared/parallel.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { BucketRig, type Ran } from "../support/s3/bucket-rig.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import { expectRefusal } from "./support/refusal.ts";
import { OfficialClient, repoRoot } from "./support/sandbox.ts";
import { hasTerminal, runAtTerminal } from "./support/terminal.ts";

describe.skipIf(findMoto() === undefined)("sky storage", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
    rig.sandbox.write("src/a.txt", "one\n");
  });

  afterAll(async () => {
    await rig?.sky("down", "-y", "-a");
    await rig?.dispose();
  });

  /** Has SkyPilot make buckets. */
  async function make(...names: readonly string[]): Promise<void> {
    const mounts = names.map((name) => `  ~/${name}: {name: ${name}, source: ./src, mode: COPY}\n`);
    const { exitCode, text } = await rig.launch("c", `file_mounts:\n${mounts.join("")}`);
    expect(exitCode, text).toBe(0);
  }

  async function names(): Promise<string[]> {
    const records: readonly { readonly name: string }[] = JSON.parse(
      (await rig.sky("storage", "ls", "-o", "json")).stdout,
    );
    return records.map(({ name }) => name).sort();
  }

  /** At a terminal, with what a user types. */
  async function answering(
    answer: string,
    ...args: readonly string[]
  ): Promise<{ exitCode: number | null; text: string }> {
    const argv = [process.execPath, `${repoRoot}/bin/sky.cjs`, ...args];
    const { work } = rig.sandbox;
    const run = await runAtTerminal(argv, { env: rig.sandbox.env(rig.env), cwd: work, stdin: answer });
    return { exitCode: run.exitCode, text: plainText(run.stdout).replaceAll("\r", "") };
  }

  it("lists what SkyPilot made, in a table and as JSON", async () => {
    expect((await rig.sky("storage", "ls")).text).toBe("No existing storage.\n");
    expect((await rig.sky("storage", "ls", "-o", "json")).stdout).toBe("[]\n");
    await make("b-one", "b-two");
    const { text } = await rig.sky("storage", "ls");
    expect(text.split("\n")[0]?.split(/\s+/u).slice(0, 5)).toEqual(["NAME", "UPDATED", "STORE", "COMMAND", "STATUS"]);
    const rows = parseTable(text, "NAME");
    expect(rows.map((row) => [row["NAME"], row["STORE"], row["STATUS"]].join(" "))).toEqual([
      "b-one S3 READY",
      "b-two S3 READY",
    ]);
    expect(rows[0]?.["COMMAND"]).toMatch(/^sky launch -y -c c .{6}\.\.\.$/u);
    for (const flag of ["-v", "-a"])
      expect((await rig.sky("storage", "ls", flag)).text).toContain(`${rig.sandbox.work}/c.yaml`);
    const [record] = JSON.parse((await rig.sky("storage", "ls", "-o", "json")).stdout);
    expect(Object.keys(record)).toEqual(["name", "launched_at", "store", "last_use", "status"]);
    expect(record).toMatchObject({ store: ["S3"], status: "READY" });
  });

  it("asks before it deletes, and takes no for an answer", async () => {
    if (!hasTerminal()) return;
    const no = await answering("n\n", "storage", "delete", "b-*");
    expect(no.text).toMatch(/Deleting 2 storages: b-one, b-two\. Proceed\? \[Y\/n\]: /u);
    expect(no.text).toContain("Aborted!");
    expect(no.exitCode).toBe(1);
    expect(await names()).toEqual(["b-one", "b-two"]);
    const yes = await answering("\n", "storage", "delete", "b-one");
    expect(yes.text).toContain("Deleting 1 storage: b-one. Proceed? [Y/n]: ");
    expect(yes.text).toContain("Deleted S3 bucket b-one.");
    expect(yes.exitCode).toBe(0);
    expect(await rig.buckets()).toEqual(["b-two"]);
  });

  it("deletes nothing without an answer where there is no terminal", async () => {
    const result = await rig.sandbox.sky(["storage", "delete", "b-two"], { env: rig.sandbox.env(rig.env), stdin: "" });
    expect(plainText(result.stdout + result.stderr)).toContain("Aborted!");
    expect(result.exitCode).toBe(1);
    expect(await rig.buckets()).toEqual(["b-two"]);
  });

  it("takes names, patterns, or all", async () => {
    expectRefusal(await rig.sky("storage", "delete"), {
      exitCode: 2,
      message: "Either --all or a name must be specified.",
    });
    expectRefusal(await rig.sky("storage", "delete", "-a", "x"), {
      exitCode: 2,
      message: "Either --all or a name must be specified.",
    });
    await make("c-one", "c-two", "d-one");
    expectRefusal(await rig.sky("storage", "delete", "-y", "c-one", "nope"), {
      exitCode: 1,
      message: "Storage nope not found.",
      hint: "sky storage ls",
    });
    expect(await names()).toEqual(["b-two", "c-one", "c-two", "d-one"]);
    const globs = await rig.sky("storage", "delete", "-y", "c-*", "d-one", "zzz*");
    expect(globs.text).toContain("Storage zzz* not found.");
    expect(globs.text.match(/^Deleted S3 bucket .*$/gmu)?.sort()).toEqual(
      ["c-one", "c-two", "d-one"].map((name) => `Deleted S3 bucket ${name}.`),
    );
    expect((await rig.sky("storage", "delete", "-y", "zzz*")).text).toContain("No storage(s) to delete.");
    expect((await rig.sky("storage", "delete", "-y", "-a")).text).toBe("Deleted S3 bucket b-two.\n");
    expect((await rig.sky("storage", "delete", "-y", "-a")).text).toBe("No storage(s) to delete.\n");
    expect(await rig.buckets()).toEqual([]);
  });

  it("returns at once with --async", async () => {
    await make("later");
    expect((await rig.sky("storage", "delete", "-y", "--async", "later")).text).toContain(
      "Submitted sky.storage request: ",
    );
    await expect.poll(() => rig.buckets()).toEqual([]);
  });

  it("refuses while a cluster has the bucket mounted, and deletes the others", async () => {
    await make("free");
    expect((await rig.launch("user", "file_mounts: {~/x: {name: used, source: ./src}}")).exitCode).toBe(0);
    const { exitCode, text } = await rig.sky("storage", "delete", "-y", "used", "free");
    expect(exitCode).toBe(1);
    expect(text).toContain("Deleted S3 bucket free.\n");
    const hint = "Take it down first: sky down user. To delete it under running tasks: sky storage delete --force used";
    expect(text).toContain(`Error deleting storage used: Bucket used is mounted by cluster user.\n  hint: ${hint}\n`);
    await rig.sky("stop", "-y", "user");
    expectRefusal(await rig.sky("storage", "delete", "-y", "used"), {
      exitCode: 1,
      message: "Bucket used is mounted by cluster user.",
      hint,
    });
    expect(await rig.keysOf("used")).toEqual(["a.txt"]);
    expect((await rig.sky("storage", "delete", "-y", "--force", "used")).exitCode).toBe(0);
    expect(await rig.buckets()).toEqual([]);
    await rig.sky("down", "-y", "user");
  });

  it.skipIf(findReference() === undefined)(
    "the official client is refused the same, and fills and copies the same",
    async () => {
      const reference = findReference();
      if (reference === undefined) throw new Error("unreachable");
      const client = new OfficialClient(rig.sandbox, reference, { remote: false });
      const official = async (...args: readonly string[]): Promise<string> => {
        const result = await client.sky(args, { env: client.env(rig.env) });
        return plainText(result.stdout + result.stderr);
      };
      await rig.createBucket("extern", { "file.txt": "file\n" });
      const { work } = rig.sandbox;
      const launch = (mounts: string): Promise<string> => {
        const yaml = `resources: {infra: ssh/local}\nfile_mounts: {${mounts}}\nrun: cat ~/*/a.txt\n`;
        return official("launch", "-y", "-c", "o", rig.sandbox.write("o.yaml", yaml));
      };
      const filled = await launch(
        `~/e: {name: extern, source: ${work}/src, mode: COPY}, ~/m: {name: used, source: ${work}/src}`,
      );
      expect(filled).toContain("  Bucket 'extern' was not made by SkyPilot: it is filled, and never deleted.");
      expect(filled.match(/\) one$/gmu)).toHaveLength(2);
      expect(await launch("~/k: {name: used, mode: COPY}")).toContain(") one\n");
      expect(await launch("~/z: {source: s3://extern/file.txt}")).toContain(
        "sky.exceptions.StorageModeError: MOUNT mode does not support mounting specific files from cloud storage.",
      );
      expect(await official("storage", "delete", "-y", "used")).toContain(
        "Error deleting storage used: [sky.exceptions.StorageBucketDeleteError] Bucket used is mounted by cluster o.",
      );
      await official("down", "-y", "o");
      expect(await official("storage", "delete", "-y", "used")).toContain("Deleted S3 bucket used.");
      await rig.removeBucket("extern");
    },
  );

  it("a bucket that was to go with its cluster stays while another one mounts it", async () => {
    const mount = "{name: shared, source: ./src, persistent: false}";
    await rig.launch("owner", `file_mounts: {~/x: ${mount}}`);
    await rig.launch("guest", `file_mounts: {~/x: {source: s3://shared}}`);
    const { text, exitCode } = await rig.sky("down", "-y", "owner");
    expect(exitCode, text).toBe(0);
    expect(text).toContain("WARNING: Bucket shared is mounted by cluster guest. It stays in `sky storage ls`.");
    expect((await rig.sky("exec", "guest", "cat ~/x/a.txt")).text).toContain(") one\n");
    await rig.sky("down", "-y", "guest");
    expect((await rig.sky("storage", "delete", "-y", "shared")).text).toBe("Deleted S3 bucket shared.\n");
  });

  it("what the last launch says of a bucket decides whether it goes with its cluster", async () => {
    const launch = async (persistent: Readonly<Record<string, boolean>>): Promise<void> => {
      const mounts = Object.entries(persistent).map(
        ([name, is]) => `  ~/${name}: {name: ${name}, source: ./src, mode: COPY${is ? "" : ", persistent: false"}}\n`,
      );
      const { exitCode, text } = await rig.launch("last", `file_mounts:\n${mounts.join("")}`);
      expect(exitCode, text).toBe(0);
    };
    await launch({ "to-stay": false, "to-go": true, anew: false });
    await rig.removeBucket("anew");
    await launch({ "to-stay": true, "to-go": false, anew: true });
    const { text } = await rig.sky("down", "-y", "last");
    expect(text).toContain("Deleted S3 bucket to-go.");
    expect(await rig.buckets()).toEqual(["anew", "to-stay"]);
    expect((await rig.sky("storage", "delete", "-y", "-a")).exitCode).toBe(0);
  });

  it("a bucket goes with a cluster that takes itself down, and not with one that its cloud has taken away", async () => {
    const going = "{name: going, source: ./src, mode: COPY, persistent: false}";
    const local = rig.sandbox.write("going.yaml", `resources: {infra: local}\nfile_mounts: {~/x: ${going}}\n`);
    const launched = await rig.sky("launch", "-y", "-c", "short", "-i", "1", "--down", local);
    expect(launched.exitCode, launched.text).toBe(0);
    const provider = join(rig.sandbox.home, ".sky/fake.yaml");
    writeFileSync(provider, "{}\n");
    const copy = "{name: orphan, source: ./src, mode: COPY, persistent: false}";
    const yaml = `resources: {infra: fake, use_spot: true}\nfile_mounts: {~/x: ${copy}}\n`;
    const { exitCode, text } = await rig.sky("launch", "-y", "-c", "spot", rig.sandbox.write("spot.yaml", yaml));
    expect(exitCode, text).toBe(0);
    expect(await rig.keysOf("orphan")).toEqual(["a.txt"]);
    writeFileSync(provider, "spot_ends_after: 0.1\n");
    expect((await rig.sky("status", "-r")).text).not.toContain("spot ");
    await expect.poll(() => rig.buckets(), { timeout: 150_000, interval: 500 }).toEqual(["orphan"]);
    await expect.poll(names).toEqual(["orphan"]);
    expect((await rig.sky("storage", "delete", "-y", "orphan")).exitCode).toBe(0);
  }, 240_000);

  it("a bucket whose labels were refused is listed, and gets them by the next launch", async () => {
    const yaml = "resources: {infra: local}\nfile_mounts: {~/x: {name: labelled, source: ./src, mode: COPY}}\n";
    const task = rig.sandbox.write("labelled.yaml", yaml);
    const launch = (labels: string): Promise<Ran> =>
      rig.sky("launch", "-y", "-c", "c", "--config", `aws.labels=${labels}`, task);
    expectRefusal(await launch('{"aws:team": a}'), {
      exitCode: 1,
      message: "Attempted to create S3 bucket labelled but failed. InvalidTag: ",
      hint: "If it was made all the same, `sky storage ls` shows it; launch again to go on.",
    });
    expect(parseTable((await rig.sky("storage", "ls")).text, "NAME")[0]).toMatchObject({ STATUS: "INIT_FAILED" });
    const { exitCode, text } = await launch("{team: a}");
    expect(exitCode, text).toBe(0);
    const { TagSet } = await rig.s3.send(new GetBucketTaggingCommand({ Bucket: "labelled" }));
    expect(TagSet).toEqual([{ Key: "team", Value: "a" }]);
    expect((await rig.sky("storage", "delete", "-y", "labelled")).exitCode).toBe(0);
  });

  it("a bucket of the same name at another server is neither deleted nor used", async () => {
    await make("twin");
    const other = await Moto.start();
    const at = async (url: string, ...args: readonly string[]): Promise<Ran> => {
      const env = rig.sandbox.env({ ...rig.env, AWS_ENDPOINT_URL: url });
      const result = await rig.sandbox.sky(args, { env });
      return { ...result, text: plainText(result.stdout + result.stderr) };
    };
    const direct = new S3Client({
      region: "us-east-1",
      endpoint: other.url,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
      forcePathStyle: true,
    });
    try {
      const refusal = {
        exitCode: 1,
        message: `Bucket twin was made at ${rig.moto.url}, and ${other.url} is what these credentials and variables are for.`,
        hint: "Repeat the command with the profile, the variables (AWS_ENDPOINT_URL_S3) or the account",
      };
      // Where there is no such bucket, it is not taken for deleted either.
      expectRefusal(await at(other.url, "storage", "delete", "-y", "twin"), refusal);
      await other.createBucket("twin");
      await direct.send(new PutObjectCommand({ Bucket: "twin", Key: "by-hand", Body: "x" }));
      expectRefusal(await at(other.url, "storage", "delete", "-y", "twin"), refusal);
      expectRefusal(await at(other.url, "launch", "-y", "-c", "c", `${rig.sandbox.work}/c.yaml`), refusal);
      await direct.send(new HeadObjectCommand({ Bucket: "twin", Key: "by-hand" }));
      expect(await names()).toEqual(["twin"]);
      expect((await at(`${rig.moto.url}/`, "storage", "delete", "-y", "twin")).text).toBe("Deleted S3 bucket twin.\n");
      expect(await rig.buckets()).toEqual([]);
    } finally {
      direct.destroy();
      other.stop();
    }
  });

  it("a bucket stays that the task of another cluster calls persistent", async () => {
    const copy = "name: both, source: ./src, mode: COPY";
    await rig.launch("keeper", `file_mounts: {~/x: {${copy}}}`);
    await rig.launch("goer", `file_mounts: {~/x: {${copy}, persistent: false}}`);
    const { text, exitCode } = await rig.sky("down", "-y", "goer");
    expect(exitCode, text).toBe(0);
    expect(text).toContain("WARNING: Bucket both is persistent for cluster keeper. It stays in `sky storage ls`.");
    await rig.sky("down", "-y", "keeper");
    expect(await rig.keysOf("both")).toEqual(["a.txt"]);
    expect((await rig.sky("storage", "delete", "-y", "both")).text).toBe("Deleted S3 bucket both.\n");
  });

  it(
    "a bucket with many objects, old versions, marks of deletion and 1,100 unfinished uploads goes as a whole",
    { timeout: 240_000 },
    async () => {
      await make("full");
      const { s3 } = rig;
      const Bucket = "full";
      await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
      const some = Array.from({ length: 1100 }, (_, n) => `k/${n}`);
      await forEachParallel(some, 16, async (Key) => {
        await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
      });
      await forEachParallel(some.slice(0, 300), 16, async (Key) => {
        await s3.send(new PutObjectCommand({ Bucket, Key, Body: "y" }));
        await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      });
      await forEachParallel(some.slice(0, 1100), 16, async (Key) => {
        await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      });
      expect((await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.length).toBeGreaterThanOrEqual(1000);
      const { text, exitCode } = await rig.sky("storage", "delete", "-y", "full");
      expect(exitCode, text).toBe(0);
      expect(text).toBe("Deleted S3 bucket full.\n");
      expect(await rig.buckets()).toEqual([]);
    },
  );

  it("what vanished is taken from the list, and made again by a launch", async () => {
    await make("gone");
    await rig.removeBucket("gone");
    await make("gone");
    expect(await rig.keysOf("gone")).toEqual(["a.txt"]);
    await rig.removeBucket("gone");
    const { text, exitCode } = await rig.sky("storage", "delete", "-y", "gone");
    expect(exitCode).toBe(0);
    expect(text).toBe("S3 bucket gone may have been deleted externally. Removing from local state.\n");
    expect(await names()).toEqual([]);
  });
});
