import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysEnv } from "../support/aws/keys-env.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { filesBelow, findCanaries } from "./support/canaries.ts";
import { namedLogs } from "./support/named-logs.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";

const SECRET = "canary-4f1c0d2e9a";

const COPIES = `
name: data
resources: {infra: local}
num_nodes: 2
file_mounts:
  ~/data: {name: my-bucket, source: ./src, store: s3, mode: COPY}
  ~/list: {name: my-list, source: [./src/a.txt, ./src/sub], mode: COPY, persistent: false}
run: cd; find -L data list -type f | sort | tr '\\n' ' '; cat data/a.txt
`;
const URLS = `
resources: {infra: local}
num_nodes: 2
file_mounts:
  ~/one.txt: s3://my-bucket/a.txt
  ~/sub: s3://my-bucket/sub
  ~/web.txt: WEB/some/page.txt
run: cat ~/one.txt; ls ~/sub; cat ~/web.txt
`;

describe.skipIf(findMoto() === undefined)("buckets (on moto)", () => {
  let moto: Moto;
  let sandbox: Sandbox;
  let s3: S3Client;
  let web: Server;
  let webUrl: string;

  beforeAll(async () => {
    moto = await Moto.start();
    web = createServer((request, response) => {
      if (request.url?.startsWith("/private") === true) response.statusCode = 403;
      response.end("web\n");
    }).listen(0, "127.0.0.1");
    await once(web, "listening");
    webUrl = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
    sandbox = await Sandbox.create();
    s3 = new S3Client({
      region: "us-east-1",
      endpoint: moto.url,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
      forcePathStyle: true,
    });
    sandbox.write("src/a.txt", "one\n");
    sandbox.write("src/sub/b.log", "two\n");
    sandbox.write("src/skip.me", "no\n");
    sandbox.write("src/.skyignore", "*.me\n");
    sandbox.write("src/.git/HEAD", "h\n");
    // For `src/sub` as a source of its own, beside which there is no .skyignore.
    sandbox.write("src/.git/info/exclude", "*.me\n");
    sandbox.write("src/sub/skip.me", "no\n");
    symlinkSync("a.txt", join(sandbox.work, "src/link"));
    sandbox.write("copies.yaml", COPIES);
    sandbox.write("urls.yaml", URLS.replace("WEB", webUrl));
    await sandbox.startServer(awsEnv());
    await sky("check", "aws");
  });

  afterAll(async () => {
    s3?.destroy();
    web?.close();
    await sandbox?.dispose();
    moto?.stop();
  });

  const awsEnv = (): Record<string, string> => ({
    ...keysEnv(moto.url, SECRET),
  });

  async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await sandbox.sky(args, { env: sandbox.env(awsEnv()) });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  async function keysOf(bucket: string): Promise<string[]> {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  async function buckets(): Promise<string[]> {
    return ((await s3.send(new ListBucketsCommand({}))).Buckets ?? []).flatMap((bucket) => bucket.Name ?? []).sort();
  }

  it("storage objects are made, filled and copied to every node", async () => {
    const { text, exitCode } = await sky("launch", "-y", "-c", "c", "copies.yaml");
    expect(exitCode, text).toBe(0);
    expect(text).toContain("  Created S3 bucket 'my-bucket' in us-east-1\n");
    expect(text).toContain(`✓ Storage synced: ${sandbox.work}/src -> s3://my-bucket/  View logs: sky api logs -l sky-`);
    expect(text.split(`'.git' directory under '${sandbox.work}/src' is excluded during sync.\n`)).toHaveLength(2);
    expect(text).not.toContain("Verifying bucket");
    expect(text).toMatch(/-> ~\/data\n[^]*-> ~\/list\n✓ Synced file_mounts\. {2}View logs: /u);
    const logs = await namedLogs(text, sky);
    expect(Object.keys(logs).toSorted()).toEqual(["file_mounts.log", "storage_sync.log"]);
    expect(logs["storage_sync.log"]).toContain(` Syncing ${sandbox.work}/src -> s3://my-bucket/\n`);
    expect(logs["storage_sync.log"]).toContain("Left out .git.\n");
    expect(logs["storage_sync.log"]).toContain("s3://my-list: 2 files, 8 bytes, 0 files were there already.\n");
    expect(logs["file_mounts.log"]).toContain(" Copying (to 2 nodes): s3://my-list -> ~/list\n");
    const files = "data/.skyignore data/a.txt data/sub/b.log list/a.txt list/sub/b.log one";
    expect(text.match(new RegExp(`\\) ${files}$`, "gmu"))).toHaveLength(2);
    expect(await keysOf("my-bucket")).toEqual([".skyignore", "a.txt", "sub/b.log"]);
    expect(await keysOf("my-list")).toEqual(["a.txt", "sub/b.log"]);
  });

  it("a second launch sends what changed, and says nothing of a new bucket", async () => {
    writeFileSync(join(sandbox.work, "src/a.txt"), "ONE\n");
    const { text } = await sky("launch", "-y", "-c", "c", "copies.yaml");
    expect(text).not.toContain("Created S3 bucket");
    expect(text).toContain("Verifying bucket and uploading from source for storage my-bucket\n");
    expect(text.match(/ list\/sub\/b\.log ONE$/gmu)).toHaveLength(2);
    const object = await s3.send(new GetObjectCommand({ Bucket: "my-bucket", Key: "a.txt" }));
    expect(await object.Body?.transformToString()).toBe("ONE\n");
  });

  it("an object, a prefix and a file of the web are copied by their URL", async () => {
    const { text } = await sky("launch", "-y", "-c", "c", "urls.yaml");
    expect(text).toContain("  Copying (to 2 nodes): s3://my-bucket/sub -> ~/sub\n");
    expect(text).toContain(`  Downloading (to 2 nodes): ${webUrl}/some/page.txt -> ~/web.txt\n`);
    expect(text.match(/\) (?:ONE|b\.log|web)$/gmu)).toHaveLength(6);
    expect(text).toMatch(/-> ~\/web\.txt\n✓ Synced file_mounts\. {2}View logs: /u);
    const logs = await namedLogs(text, sky);
    expect(logs["file_mounts.log"]).toContain(`${webUrl}/some/page.txt -> ~/web.txt\n`);
  });

  it("what is local and what is copied is said to be there once; a source that is a link is followed", async () => {
    const { work } = sandbox;
    sandbox.write("real/in.txt", "real\n");
    symlinkSync("real", join(work, "dir-link"));
    symlinkSync("real/in.txt", join(work, "file-link"));
    const yaml = `
resources: {infra: local}
file_mounts:
  ~/local: ./dir-link
  ~/stored: {name: linked, source: ./dir-link, mode: COPY}
  ~/listed: {name: linked-list, source: [./file-link, ./dir-link], mode: COPY}
  ~/web.txt: ${webUrl}/page
run: cat ~/local/in.txt ~/stored/in.txt ~/listed/file-link ~/listed/dir-link/in.txt
`;
    const { text, exitCode } = await sky("launch", "-y", "-c", "links", sandbox.write("links.yaml", yaml));
    expect(exitCode, text).toBe(0);
    expect(text.match(/\) real$/gmu)).toHaveLength(4);
    const link = (name: string): string =>
      `Source path ${work}/${name} is a symlink. Its target's content is uploaded.\n`;
    expect(text.split(link("dir-link"))).toHaveLength(4);
    expect(text.split(link("file-link"))).toHaveLength(2);
    expect(text.match(/✓ Synced file_mounts\./gu)).toHaveLength(1);
    const logs = await namedLogs(text, sky);
    expect(logs["file_mounts.log"]).toMatch(/-> ~\/local\n[^]*-> ~\/web\.txt\n/u);
    await sky("down", "-y", "links");
    await sky("storage", "delete", "-y", "linked", "linked-list");
  });

  it("keys that are no names of files are left out and told", async () => {
    await moto.createBucket("strange");
    for (const Key of ["ok/ü +%.txt", "a//b", "../up", "dot/./x", "/rooted", "folder/", "last/.."]) {
      await s3.send(new PutObjectCommand({ Bucket: "strange", Key, Body: "x\n" }));
    }
    const yaml =
      "resources: {infra: local}\nfile_mounts:\n  ~/strange: s3://strange\nrun: cd ~/strange; find -L . -type f\n";
    const { text, exitCode } = await sky("launch", "-y", "-c", "odd", sandbox.write("odd.yaml", yaml));
    expect(exitCode, text).toBe(0);
    expect(text).toMatch(/ {2}Left out 5 objects whose keys cannot be the name of a file: ".+", …\n/u);
    expect(text.match(/\) \.\/.*$/gmu)).toEqual([") ./ok/ü +%.txt"]);
    await sky("down", "-y", "odd");
    for (const Key of await keysOf("strange")) await s3.send(new DeleteObjectCommand({ Bucket: "strange", Key }));
    await s3.send(new DeleteBucketCommand({ Bucket: "strange" }));
  });

  it("a key that is also the folder of others is left out and told, again and again", async () => {
    await moto.createBucket("clash");
    for (const Key of ["a", "a-x", "a/b", "c", "c/"])
      await s3.send(new PutObjectCommand({ Bucket: "clash", Key, Body: "x\n" }));
    const yaml =
      "resources: {infra: local}\nnum_nodes: 2\nfile_mounts:\n  ~/clash: s3://clash\nrun: cd ~/clash; echo $(find . -type f | sort)\n";
    sandbox.write("clash.yaml", yaml);
    for (let launch = 0; launch < 2; launch += 1) {
      const { text, exitCode } = await sky("launch", "-y", "-c", "odd", "clash.yaml");
      expect(exitCode, text).toBe(0);
      expect(text).toContain('  Left out an object whose key is also the folder of others: "a"\n');
      expect(text.match(/\) \.\/a-x \.\/a\/b \.\/c$/gmu)).toHaveLength(2);
    }
    await sky("down", "-y", "odd");
    for (const Key of await keysOf("clash")) await s3.send(new DeleteObjectCommand({ Bucket: "clash", Key }));
    await s3.send(new DeleteBucketCommand({ Bucket: "clash" }));
  });

  it("what a server refuses to a node is said of the file, with what to do", async () => {
    const yaml = `resources: {infra: local}\nfile_mounts:\n  ~/x: ${webUrl.replace("://", "://ann:cana49@")}/private?X-Amz-Signature=cana49\nrun: ls\n`;
    const { text, exitCode } = await sky("launch", "-y", "-c", "refused", sandbox.write("refused.yaml", yaml));
    expect(exitCode, text).toBe(1);
    expect(text).toContain(`(to 1 node): ${webUrl}/private?… -> ~/x\n`);
    expect(text).toContain(`${webUrl}/private?… cannot be copied to ~/x: `);
    expect(text).toContain("answered with HTTP status 403.");
    expect(text).toContain(`curl -I ${webUrl}/private`);
    expect(text).not.toContain("cana49");
    await sky("down", "-y", "refused");
  });

  it("no node, log or database holds the secret key", async () => {
    expect(
      findCanaries(
        filesBelow(sandbox.root, () => false),
        [SECRET],
      ),
    ).toEqual([]);
  });

  it("what cannot be used is refused before anything is made", async () => {
    const before = await buckets();
    const refused = async (mount: string): Promise<RunResult> => {
      sandbox.write("bad.yaml", `resources: {infra: local}\nfile_mounts:\n  ~/x: ${mount}\nrun: ls\n`);
      return sky("launch", "-y", "-c", "never", "bad.yaml");
    };
    expectRefusal(await refused("s3://nope-nope"), {
      exitCode: 1,
      message: "Attempted to use a non-existent bucket as a source: s3://nope-nope.",
    });
    await moto.createBucket("extern");
    expectRefusal(await refused("{name: extern}"), {
      exitCode: 1,
      message: "replace `name: extern` with `source: s3://extern`.",
    });
    expectRefusal(await refused("gs://bucket"), { exitCode: 1, message: "Buckets of 'gs' are not available" });
    expect(await buckets()).toEqual([...before, "extern"].sort());
    expect((await sky("status", "-o", "json")).stdout).not.toContain("never");
  });

  it("kill -9 at each step of the making leaves no bucket that is not listed, and the launch goes on", async () => {
    const list = join(sandbox.root, "points");
    const launch = (name: string): string[] => {
      const yaml = COPIES.replaceAll("my-bucket", name).replaceAll("my-list", `${name}-list`);
      return ["launch", "-y", "-c", "c", sandbox.write(`${name}.yaml`, yaml)];
    };
    await sandbox.killServer();
    await sandbox.startServer({ ...awsEnv(), SKYPILOT_FAILPOINT_LIST: list });
    await sky(...launch("recorded"));
    const points = [...new Set(readFileSync(list, "utf8").trim().split("\n"))].filter((point) =>
      /storage\.0\.(?:bucket|upload)/u.test(point),
    );
    expect(points.length).toBeGreaterThanOrEqual(8);
    for (const [index, point] of points.entries()) {
      const name = `crash-${index}`;
      await sandbox.killServer();
      await sandbox.startServer({ ...awsEnv(), SKYPILOT_FAILPOINT: point });
      const death = sandbox.watchServer();
      const client = sandbox.startSky(launch(name), { env: sandbox.env(awsEnv()), timeoutMs: 90_000 });
      await death(`the server to die at ${point}`);
      await sandbox.startServer(awsEnv());
      // In this order: the launch goes on meanwhile, and its row is always there before its bucket.
      const made = (await buckets()).filter((bucket) => bucket !== "extern");
      const listed = parseTable((await sky("storage", "ls")).stdout, "NAME").map((row) => row["NAME"]);
      expect(
        made.filter((bucket) => !listed.includes(bucket)),
        point,
      ).toEqual([]);
      const result = await client.result;
      expect(result.exitCode, `${point}\n${plainText(result.stdout + result.stderr)}`).toBe(0);
      expect(await keysOf(name), point).toEqual([".skyignore", "a.txt", "sub/b.log"]);
    }
  });

  it("what does not persist goes with the cluster, the rest by `sky storage delete`", async () => {
    await sky("down", "-y", "c");
    expect((await buckets()).filter((bucket) => bucket.endsWith("-list"))).toEqual([]);
    const { text } = await sky("storage", "delete", "-y", "my-bucket");
    expect(text).toBe("Deleted S3 bucket my-bucket.\n");
    expectRefusal(await sky("storage", "delete", "-y", "my-bucket"), {
      exitCode: 1,
      message: "Storage my-bucket not found.",
      hint: "sky storage ls",
    });
    expect((await sky("storage", "delete", "-y", "crash-*", "recorded")).exitCode).toBe(0);
    expect((await sky("storage", "ls")).text).toBe("No existing storage.\n");
    expect(await buckets()).toEqual(["extern"]);
    expect(existsSync(join(sandbox.home, ".sky/local/c"))).toBe(false);
  });

  it.skipIf(findReference() === undefined)("the official client lists and deletes", async () => {
    const reference = findReference();
    if (reference === undefined) throw new Error("unreachable");
    const client = new OfficialClient(sandbox, reference, { remote: false });
    const official = async (...args: readonly string[]): Promise<string> => {
      const result = await client.sky(args, { env: client.env(awsEnv()) });
      expect(result.exitCode, result.stderr).toBe(0);
      return plainText(result.stdout + result.stderr);
    };
    expect(await official("storage", "ls")).toContain("No existing storage.");
    // The official client sends relative sources of storage objects as they are.
    const task = COPIES.replace("infra: local", "infra: ssh/local").replaceAll("./src", `${sandbox.work}/src`);
    sandbox.write("official.yaml", task);
    const launched = await official("launch", "-y", "-c", "c", "official.yaml");
    expect(launched).toContain("Created S3 bucket 'my-bucket' in us-east-1");
    expect(launched.match(/ list\/sub\/b\.log ONE$/gmu)).toHaveLength(2);
    const rows = parseTable(await official("storage", "ls"), "NAME");
    expect(rows.map((row) => [row["NAME"], row["STORE"], row["STATUS"]])).toEqual([
      ["my-bucket", "S3", "READY"],
      ["my-list", "S3", "READY"],
    ]);
    expect(await official("storage", "delete", "-y", "my-bucket")).toContain("Deleted S3 bucket my-bucket.");
    await official("down", "-y", "c");
    expect(await buckets()).toEqual(["extern"]);
  });
});
