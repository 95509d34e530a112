import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketTaggingCommand,
  GetPublicAccessBlockCommand,
  HeadObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ObjectPlace, UploadFile } from "../../src/core/ports/object-store.ts";
import { openAgents } from "../../src/clouds/aws/auth/network.ts";
import { parseBuckets } from "../../src/clouds/aws/policy/bucket-scope.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { PermissionDeniedError } from "../../src/shared/errors.ts";
import { findMoto, Moto, type Keys } from "../support/aws/moto.ts";
import { findGateway, S3Gateway } from "../support/s3/gateway.ts";
import { readSignature, signatureOf } from "../support/s3/signature.ts";
import { cutUploadCases, cutUploadContract } from "./cut-uploads.contract.ts";
import { context, keysOf, objectStoreContract, storeOf, type S3Server } from "./object-store.contract.ts";

const IN_MOTO: Readonly<Record<string, readonly string[]>> = {
  "s3:ListBucket": ["s3:HeadBucket"],
  "s3:PutBucketPublicAccessBlock": ["s3:PutPublicAccessBlock"],
  "s3:PutLifecycleConfiguration": ["s3:PutLifecycleConfiguration", "s3:PutBucketLifecycleConfiguration"],
};
const HOME = { region: "us-east-1", labels: {} };

/** Signature Version 4 of a presigned GET, from the URL's own parameters. */
function signatureOfUrl({ pathname, search, host }: URL, secret: string): string | undefined {
  const request = { method: "GET", url: pathname + search, headers: { host } };
  const signed = readSignature(request);
  return signed && signatureOf(secret, signed, request);
}

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "s3-server-"));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(key: string, content: string): UploadFile {
  const path = join(directory, key);
  writeFileSync(path, content);
  const { size, mtimeMs } = statSync(path);
  return { path, key, size, mtimeMs };
}

describe.skipIf(findMoto() === undefined)("S3 on moto (SKYPILOT_MOTO_SERVER)", () => {
  let moto: Moto;
  let server: S3Server;
  let direct: S3Client;

  beforeAll(async () => {
    moto = await Moto.start();
    const keys = { accessKeyId: "test", secretAccessKey: "test" };
    server = { url: moto.url, keys, isAws: true };
    direct = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials: keys, forcePathStyle: true });
  }, 60_000);

  afterAll(() => {
    direct?.destroy();
    moto?.stop();
  });

  objectStoreContract(() => server);
  cutUploadContract(() => server);

  test("a bucket is made in its region, closed to the public, with the labels as tags; making it again changes nothing", async () => {
    const store = storeOf(server);
    expect(await store.regionFor({ cloud: "aws", region: "eu-south-1" }, context)).toBe("eu-south-1");
    const wish = { region: "eu-south-1", labels: { team: "ml" } };
    await store.createBucket("made", wish, context);
    await store.createBucket("made", wish, context);
    expect(await store.findBucket({ bucket: "made", prefix: "" }, context)).toEqual({
      kind: "exists",
      region: "eu-south-1",
    });
    const tags = await direct.send(new GetBucketTaggingCommand({ Bucket: "made" }));
    expect(tags.TagSet).toEqual([{ Key: "team", Value: "ml" }]);
    const closed = await direct.send(new GetPublicAccessBlockCommand({ Bucket: "made" }));
    expect(closed.PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
    const { Rules } = await direct.send(new GetBucketLifecycleConfigurationCommand({ Bucket: "made" }));
    expect(Rules?.map((rule) => [rule.Status, rule.AbortIncompleteMultipartUpload])).toEqual([
      ["Enabled", { DaysAfterInitiation: 7 }],
    ]);
    expect(await store.deleteBucket("made", context)).toBe("deleted");
    expect(await store.deleteBucket("made", context)).toBe("gone");
  });

  // moto answers signed URLs whatever their signature is, so it is computed here once more, as AWS documents it.
  test("signed reads carry the signature that AWS computes, for any key", async () => {
    const keys: Keys = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "a secret" };
    const urls = await storeOf(server, keys).signReads(
      { bucket: "data", region: "eu-west-1" },
      ["plain", "dir/ä ö+%&=?#(1)!*'.txt"],
      { expiresSeconds: 60, context },
    );
    expect(urls.map((url) => new URL(url).searchParams.get("X-Amz-Signature"))).toEqual(
      urls.map((url) => signatureOfUrl(new URL(url), keys.secretAccessKey)),
    );
    expect(decodeURIComponent(new URL(urls[1] ?? "").pathname)).toBe("/data/dir/ä ö+%&=?#(1)!*'.txt");
  });

  test("a bucket of somebody else is forbidden; a refusal names the action and the bucket", async () => {
    await storeOf(server).createBucket("closed", HOME, context);
    const allow = (Action: string[]): object => ({ Effect: "Allow", Action, Resource: "*" });
    const keys = await moto.createUser("reader", { Version: "2012-10-17", Statement: [allow(["s3:ListBucket"])] });
    const stranger = await moto.createUser("stranger", { Version: "2012-10-17", Statement: [allow(["sts:*"])] });
    await moto.setEnforced(true);
    try {
      expect(await storeOf(server, stranger).findBucket({ bucket: "closed", prefix: "" }, context)).toEqual({
        kind: "forbidden",
      });
      const place = { bucket: "closed", region: "us-east-1", prefix: "" };
      await expect(storeOf(server, keys).upload(place, [file("x", "x")], { context })).rejects.toThrow(
        /s3:PutObject.*closed/su,
      );
    } finally {
      await moto.setEnforced(false);
    }
  });

  test("what `sky aws policy --bucket` prints suffices for the bucket, and for no other", async () => {
    const { Version, Statement } = buildPolicy({
      tier: "user",
      features: ["s3", "bucket-care"],
      account: "123456789012",
      regions: [],
      isTagScoped: false,
      buckets: parseBuckets(["mine-*"]),
    });
    // moto has other names for some actions, and asks for the deletion of several objects on their bucket.
    const reword = (action: string): string[] => [action, ...(IN_MOTO[action] ?? [])];
    const widen = (arn: string): string[] => [arn, arn.replace(/\/\*$/u, "")];
    const policy = Statement.map((each) => ({
      ...each,
      Action: [each.Action].flat().flatMap(reword),
      Resource: [each.Resource].flat().flatMap(widen),
    }));
    const store = storeOf(server, await moto.createUser("scoped", { Version, Statement: policy }));
    await storeOf(server).createBucket("elsewhere", HOME, context);
    const place = (bucket: string): ObjectPlace => ({ bucket, region: "us-east-1", prefix: "" });
    await moto.setEnforced(true);
    try {
      expect(await store.findBucket(place("mine-1"), context)).toEqual({ kind: "missing" });
      await store.createBucket("mine-1", { region: "us-east-1", labels: { team: "ml" } }, context);
      const big = file("big.bin", "x".repeat(9 * 1024 * 1024));
      await store.upload(place("mine-1"), [file("one", "1"), big], { context });
      expect(await keysOf(store, place("mine-1"))).toEqual(["big.bin", "one"]);
      expect(await store.deleteBucket("mine-1", context)).toBe("deleted");
      expect(await store.findBucket(place("elsewhere"), context)).toEqual({ kind: "forbidden" });
      await expect(keysOf(store, place("elsewhere"))).rejects.toThrow(/s3:ListBucket.*elsewhere/su);
      await expect(store.upload(place("elsewhere"), [file("one", "1")], { context })).rejects.toThrow("s3:ListBucket");
      await expect(store.createBucket("new", HOME, context)).rejects.toThrow(/s3:CreateBucket.*new/su);
      await expect(store.deleteBucket("elsewhere", context)).rejects.toThrow(PermissionDeniedError);
    } finally {
      await moto.setEnforced(false);
    }
  });
});

// It checks every signature, has one region, and does not know all of S3's calls: none of which moto shows.
describe.skipIf(findGateway() === undefined)("S3 on versitygw (SKY_S3_GATEWAY)", () => {
  let gateway: S3Gateway;
  let server: S3Server;

  beforeAll(async () => {
    gateway = await S3Gateway.start();
    server = { url: gateway.url, keys: gateway.keys, isAws: false };
  }, 60_000);

  afterAll(() => gateway?.stop());

  objectStoreContract(() => server);
  cutUploadContract(() => server, { listsByOne: true });
  cutUploadCases(() => server);

  test("a bucket for nodes on EC2 is made in the only region that the server has", async () => {
    expect(await storeOf(server).regionFor({ cloud: "aws", region: "eu-south-1" }, context)).toBe("us-east-1");
  });

  test("keys with another secret may nothing, and signed URLs read one object alone until they expire", async () => {
    const store = storeOf(server);
    await store.createBucket("signed", HOME, context);
    const place = { bucket: "signed", region: "us-east-1", prefix: "" };
    await store.upload(place, [file("one", "1"), file("two", "2")], { context });
    const forged = storeOf(server, { ...server.keys, secretAccessKey: "not the secret" });
    await expect(forged.upload(place, [file("three", "3")], { context })).rejects.toThrow(/signature/u);
    expect(await forged.findBucket({ bucket: "signed", prefix: "" }, context)).toEqual({ kind: "forbidden" });
    const [url = ""] = await store.signReads(place, ["one"], { expiresSeconds: 60, context });
    const [shortUrl = ""] = await store.signReads(place, ["one"], { expiresSeconds: 1, context });
    const [forgedUrl = ""] = await forged.signReads(place, ["one"], { expiresSeconds: 60, context });
    const statuses = [url, url.replace("/one?", "/two?"), forgedUrl].map(async (each) => (await fetch(each)).status);
    expect(await Promise.all(statuses)).toEqual([200, 403, 403]);
    await expect.poll(async () => (await fetch(shortUrl)).status).toBe(403);
    expect(await store.deleteBucket("signed", context)).toBe("deleted");
  });
});

// As AWS itself is asked.
describe.skipIf(findGateway() === undefined)("S3 by TLS on versitygw (SKY_S3_GATEWAY)", () => {
  let gateway: S3Gateway;

  beforeAll(async () => {
    gateway = await S3Gateway.start({ isSecure: true });
  }, 60_000);

  afterAll(() => gateway?.stop());

  cutUploadContract(() => ({ url: gateway.url, keys: gateway.keys, isAws: false, caFile: gateway.caFile }));

  test("content goes with a checksum, which the server checks and keeps", async () => {
    const { url, keys, caFile } = gateway;
    const store = storeOf({ url, keys, isAws: false, caFile });
    const place = { bucket: "sealed", region: "us-east-1", prefix: "" };
    await store.createBucket("sealed", HOME, context);
    const files = [file("small", "123456789"), file("large", "123456789".repeat(2_000_000))];
    expect(await store.upload(place, files, { context })).toMatchObject({ files: 2, unchangedFiles: 0 });
    const https = openAgents({ home: "/nowhere", env: { AWS_CA_BUNDLE: caFile } }).https;
    const requestHandler = { httpsAgent: https };
    const direct = new S3Client({
      region: "us-east-1",
      endpoint: url,
      credentials: keys,
      forcePathStyle: true,
      requestHandler,
    });
    const sumOf = async (Key: string): Promise<string | undefined> => {
      const head = new HeadObjectCommand({ Bucket: "sealed", Key, ChecksumMode: "ENABLED" });
      return (await direct.send(head)).ChecksumCRC32;
    };
    // The well-known CRC-32 of these nine digits.
    expect(await sumOf("small")).toBe(Buffer.from("cbf43926", "hex").toString("base64"));
    expect(await sumOf("large")).toMatch(/-3$/u);
    direct.destroy();
    expect(await store.upload(place, files, { context })).toMatchObject({ unchangedFiles: 2 });
  });
});
