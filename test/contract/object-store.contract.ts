import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutBucketVersioningCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CloudContext } from "../../src/core/ports/cloud.ts";
import type { ObjectPlace, ObjectStore, UploadFile } from "../../src/core/ports/object-store.ts";
import { openAgents } from "../../src/clouds/aws/auth/network.ts";
import { serviceAccess } from "../../src/clouds/aws/service-access.ts";
import { AMAZON } from "../../src/stores/s3/kind.ts";
import { createS3Store } from "../../src/stores/s3/store.ts";
import type { Keys } from "../support/aws/moto.ts";

const MIB = 1024 * 1024;

/** A server that speaks S3, and who owns it. */
export interface S3Server {
  readonly url: string;
  readonly keys: Keys;
  /** Whether it plays AWS as a whole, with all its regions. */
  readonly isAws: boolean;
  /** File with the certificate that its own is to be checked by. */
  readonly caFile?: string;
  /** What it is spoken to as, and by which keys; S3 with `keys` when absent. */
  readonly open?: () => ObjectStore;
}

export const context: CloudContext = {
  workspace: "default",
  config: {},
  env: {},
  signal: new AbortController().signal,
};

/** The store as it is used with the server. */
export function storeOf(
  { url, keys: owner, isAws, caFile, open }: S3Server,
  keys: Keys = owner,
  folders: { readonly unfinishedUploads?: string } = {},
): ObjectStore {
  if (open !== undefined) return open();
  const credentials = (): Promise<Keys> => Promise.resolve(keys);
  const endpoint = (service: string): string | undefined => (isAws || service === "s3" ? url : undefined);
  const env = caFile === undefined ? {} : { AWS_CA_BUNDLE: caFile };
  const agents = { openAgents: () => openAgents({ home: "/nowhere", env }, { keepAlive: true }) };
  const session = { credentials, region: "us-east-1", endpoint, maxAttempts: 1, ...agents };
  return createS3Store(() => Promise.resolve(serviceAccess(session, "s3")), AMAZON, folders);
}

/** The keys of a place's objects, in alphabetical order. */
export async function keysOf(store: ObjectStore, place: ObjectPlace): Promise<string[]> {
  const keys: string[] = [];
  for await (const object of store.list(place, context)) keys.push(object.key);
  return keys.sort();
}

/** What holds of the store with every server; registers the tests of the surrounding `describe`. */
export function objectStoreContract(
  start: () => S3Server,
  { hasVersions = true }: { readonly hasVersions?: boolean } = {},
): void {
  let server: S3Server;
  let store: ObjectStore;
  let direct: S3Client;
  let directory: string;

  beforeAll(() => {
    server = start();
    store = storeOf(server);
    const { url: endpoint, keys: credentials } = server;
    direct = new S3Client({ region: "us-east-1", endpoint, credentials, forcePathStyle: true });
    directory = mkdtempSync(join(tmpdir(), "s3-store-"));
  });

  afterAll(() => {
    direct?.destroy();
    rmSync(directory, { recursive: true, force: true });
  });

  function file(key: string, content: string | Buffer): UploadFile {
    const path = join(directory, createHash("md5").update(key).digest("hex"));
    writeFileSync(path, content);
    const { size, mtimeMs } = statSync(path);
    return { path, key, size, mtimeMs };
  }

  test("a bucket is made where the server is, and making it again changes nothing", async () => {
    expect(await store.findBucket({ bucket: "plain", prefix: "" }, context)).toEqual({ kind: "missing" });
    const region = await store.regionFor({ cloud: "ssh", region: "pool" }, context);
    await store.createBucket("plain", { region, labels: { team: "ml" } }, context);
    await store.createBucket("plain", { region, labels: { team: "ml" } }, context);
    expect(await store.findBucket({ bucket: "plain", prefix: "" }, context)).toEqual({ kind: "exists", region });
    expect(await store.deleteBucket("plain", context)).toBe("deleted");
    expect(await store.deleteBucket("plain", context)).toBe("gone");
  });

  test("a deletion that is cancelled stops, and what is left stays", async () => {
    await store.createBucket("spared", { region: "us-east-1", labels: {} }, context);
    const place = { bucket: "spared", region: "us-east-1", prefix: "" };
    await store.upload(place, [file("a.txt", "one")], { context });
    const signal = AbortSignal.abort(new Error("cancelled"));
    await expect(store.deleteBucket("spared", { ...context, signal })).rejects.toThrow();
    expect(await keysOf(store, place)).toEqual(["a.txt"]);
    expect(await store.deleteBucket("spared", context)).toBe("deleted");
  });

  test("uploads whole and in parts, then only what changed; a prefix keeps to itself", async () => {
    await store.createBucket("data", { region: "us-east-1", labels: {} }, context);
    const place = { bucket: "data", region: "us-east-1", prefix: "sub" };
    const big = randomBytes(17 * MIB + 3);
    const odd = "dir/ä ö+%&=?#(1)!*.txt";
    const files = [file("a.txt", "one"), file("empty", ""), file(odd, "odd"), file("big.bin", big)];
    const seen: number[] = [];
    const sent = await store.upload(place, files, { context, onProgress: (progress) => seen.push(progress.files) });
    expect(sent).toEqual({ files: 4, bytes: big.length + 6, unchangedFiles: 0 });
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(await store.upload(place, files, { context })).toMatchObject({ files: 4, unchangedFiles: 4 });
    // Clocks differ: by its time this file seems older than its object, which has other content.
    const earlier = { ...file("big.bin", randomBytes(big.length)), mtimeMs: Date.now() - 60_000 };
    expect(await store.upload(place, [earlier], { context })).toMatchObject({ unchangedFiles: 0 });
    expect(await store.upload(place, [earlier], { context })).toMatchObject({ unchangedFiles: 1 });
    await store.upload(place, [file("big.bin", big)], { context });
    const dayOld = file("big.bin", randomBytes(big.length));
    const old = [{ ...dayOld, mtimeMs: dayOld.mtimeMs - 86_400_000 }];
    expect(await store.upload(place, old, { context })).toMatchObject({ unchangedFiles: 1 });
    const later = file("a.txt", "two");
    const touched = { ...file(odd, "odd"), mtimeMs: Date.now() + 60_000 };
    expect(await store.upload(place, [later, touched], { context })).toMatchObject({ files: 2, unchangedFiles: 1 });
    await direct.send(new PutObjectCommand({ Bucket: "data", Key: "subway", Body: "other" }));
    expect(await keysOf(store, place)).toEqual(["sub/a.txt", "sub/big.bin", `sub/${odd}`, "sub/empty"].sort());
    const keys = ["sub/a.txt", `sub/${odd}`, "sub/big.bin"];
    const urls = await store.signReads(place, keys, { expiresSeconds: 60, context });
    const bodies = await Promise.all(urls.map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())));
    expect(bodies.map((body) => body.length)).toEqual([3, 3, big.length]);
    expect(bodies[0]?.toString()).toBe("two");
    expect(bodies[2]?.equals(big)).toBe(true);
    expect(urls[0]).toContain("X-Amz-Expires=60");
  });

  if (!hasVersions) return;

  test("a bucket with versions is emptied and removed whole", async () => {
    await store.createBucket("versions", { region: "us-east-1", labels: {} }, context);
    const on = { Bucket: "versions", VersioningConfiguration: { Status: "Enabled" as const } };
    await direct.send(new PutBucketVersioningCommand(on));
    for (let round = 0; round < 3; round++) {
      const one = file("k", `round ${round}`);
      utimesSync(one.path, 4_000_000_000 + round, 4_000_000_000 + round);
      await store.upload(
        { bucket: "versions", region: "us-east-1", prefix: "" },
        [{ ...one, mtimeMs: 4e12 + round * 1000 }],
        { context },
      );
    }
    expect(await store.deleteBucket("versions", context)).toBe("deleted");
    expect(await store.findBucket({ bucket: "versions", prefix: "" }, context)).toEqual({ kind: "missing" });
  });
}
