import { createHash, createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetBucketTaggingCommand,
  GetPublicAccessBlockCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CloudContext } from "../../src/core/ports/cloud.ts";
import type { ObjectPlace, ObjectStore, UploadFile } from "../../src/core/ports/object-store.ts";
import { serviceAccess } from "../../src/clouds/aws/service-access.ts";
import { createS3Store } from "../../src/stores/s3/store.ts";
import { findMoto, Moto, type Keys } from "../support/aws/moto.ts";

const MIB = 1024 * 1024;

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Signature Version 4 of a presigned GET, from the URL's own parameters. */
function signatureOf(url: URL, secret: string): string {
  const query = url.search
    .slice(1)
    .split("&")
    .filter((part) => !part.startsWith("X-Amz-Signature="))
    .sort()
    .join("&");
  const request = `GET\n${url.pathname}\n${query}\nhost:${url.host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const scope = (url.searchParams.get("X-Amz-Credential") ?? "").split("/").slice(1);
  const hash = createHash("sha256").update(request).digest("hex");
  const text = ["AWS4-HMAC-SHA256", url.searchParams.get("X-Amz-Date"), scope.join("/"), hash].join("\n");
  return hmac(scope.reduce<string | Buffer>(hmac, `AWS4${secret}`), text).toString("hex");
}

describe.skipIf(findMoto() === undefined)("S3 on moto (SKYPILOT_MOTO_SERVER)", () => {
  let moto: Moto;
  let directory: string;
  let direct: S3Client;
  const context: CloudContext = { workspace: "default", config: {}, env: {}, signal: new AbortController().signal };
  const storeOf = (keys?: Keys): ObjectStore =>
    createS3Store(() => Promise.resolve(serviceAccess(moto.session(keys), "s3")));

  beforeAll(async () => {
    moto = await Moto.start();
    directory = mkdtempSync(join(tmpdir(), "s3-store-"));
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    direct = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
  }, 60_000);

  afterAll(() => {
    direct?.destroy();
    moto?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  function file(key: string, content: string | Buffer): UploadFile {
    const path = join(directory, createHash("md5").update(key).digest("hex"));
    writeFileSync(path, content);
    const { size, mtimeMs } = statSync(path);
    return { path, key, size, mtimeMs };
  }

  async function keysOf(store: ObjectStore, place: ObjectPlace): Promise<string[]> {
    const keys: string[] = [];
    for await (const object of store.list(place, context)) keys.push(object.key);
    return keys.sort();
  }

  test("a bucket is made in its region, closed to the public, with the labels as tags; making it again changes nothing", async () => {
    const store = storeOf();
    expect(await store.findBucket("made", context)).toEqual({ kind: "missing" });
    const wish = { region: "eu-south-1", labels: { team: "ml" } };
    await store.createBucket("made", wish, context);
    await store.createBucket("made", wish, context);
    expect(await store.findBucket("made", context)).toEqual({ kind: "exists", region: "eu-south-1" });
    const tags = await direct.send(new GetBucketTaggingCommand({ Bucket: "made" }));
    expect(tags.TagSet).toEqual([{ Key: "team", Value: "ml" }]);
    const closed = await direct.send(new GetPublicAccessBlockCommand({ Bucket: "made" }));
    expect(closed.PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
    expect(await store.deleteBucket("made", context)).toBe("deleted");
    expect(await store.deleteBucket("made", context)).toBe("gone");
  });

  test("uploads whole and in parts, then only what changed; a prefix keeps to itself", async () => {
    const store = storeOf();
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

  // moto answers signed URLs whatever their signature is, so it is computed here once more, as AWS documents it.
  test("signed reads carry the signature that AWS computes, for any key", async () => {
    const keys: Keys = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "a secret" };
    const urls = await storeOf(keys).signReads(
      { bucket: "data", region: "eu-west-1" },
      ["plain", "dir/ä ö+%&=?#(1)!*'.txt"],
      { expiresSeconds: 60, context },
    );
    expect(urls.map((url) => new URL(url).searchParams.get("X-Amz-Signature"))).toEqual(
      urls.map((url) => signatureOf(new URL(url), keys.secretAccessKey)),
    );
    expect(decodeURIComponent(new URL(urls[1] ?? "").pathname)).toBe("/data/dir/ä ö+%&=?#(1)!*'.txt");
  });

  test("a bucket with versions is emptied and removed whole", async () => {
    const store = storeOf();
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
    expect(await store.findBucket("versions", context)).toEqual({ kind: "missing" });
  });

  test("a bucket of somebody else is forbidden; a refusal names the action and the bucket", async () => {
    await storeOf().createBucket("closed", { region: "us-east-1", labels: {} }, context);
    const allow = (Action: string[]): object => ({ Effect: "Allow", Action, Resource: "*" });
    const keys = await moto.createUser("reader", { Version: "2012-10-17", Statement: [allow(["s3:ListBucket"])] });
    const stranger = await moto.createUser("stranger", { Version: "2012-10-17", Statement: [allow(["sts:*"])] });
    await moto.setEnforced(true);
    try {
      expect(await storeOf(stranger).findBucket("closed", context)).toEqual({ kind: "forbidden" });
      const place = { bucket: "closed", region: "us-east-1", prefix: "" };
      await expect(storeOf(keys).upload(place, [file("x", "x")], { context })).rejects.toThrow(
        /s3:PutObject.*closed/su,
      );
    } finally {
      await moto.setEnforced(false);
    }
  });
});
