import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ObjectStore, UploadFile } from "../../src/core/ports/object-store.ts";
import { r2Access } from "../../src/clouds/cloudflare/access.ts";
import { R2 } from "../../src/stores/s3/kind.ts";
import { createS3Store } from "../../src/stores/s3/store.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { makeCertificate } from "../support/s3/gateway.ts";
import { R2Front } from "../support/s3/r2-front.ts";
import { context, objectStoreContract, storeOf, type S3Server } from "./object-store.contract.ts";

/** Sets a user up; gives what opens the store as that user. */
function writeAccount(home: string, r2: R2Front, env: Readonly<Record<string, string>>): () => ObjectStore {
  const folder = join(home, ".cloudflare");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "r2.credentials"), r2.credentialsFile, { mode: 0o600 });
  writeFileSync(join(folder, "accountid"), r2.accountId);
  return () => createS3Store((to) => Promise.resolve(r2Access({ home, env, nowMs: Date.now }, to)), R2);
}

// By its documentation: one region, no tags, versions or closing, and temporary credentials that the token's secret signs.
describe.skipIf(findMoto() === undefined)("R2 in front of moto (SKYPILOT_MOTO_SERVER)", () => {
  let directory: string;
  let moto: Moto;
  let r2: R2Front;
  let server: S3Server;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "r2-store-"));
    moto = await Moto.start();
    r2 = await R2Front.start(moto.url);
    server = { url: r2.url, keys: r2.keys, isAws: false, open: writeAccount(directory, r2, {}) };
  }, 60_000);

  afterAll(async () => {
    await r2?.close();
    moto?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  function file(key: string, content: string): UploadFile {
    const path = join(directory, key);
    writeFileSync(path, content);
    const { size, mtimeMs } = statSync(path);
    return { path, key, size, mtimeMs };
  }

  objectStoreContract(() => server, { hasVersions: false });

  test("makes buckets in its one region, whatever the labels, by calls that R2 has", async () => {
    const store = storeOf(server);
    expect(await store.regionFor({ cloud: "aws", region: "eu-south-1" }, context)).toBe("auto");
    await store.createBucket("labelled", { region: "auto", labels: { team: "ml" } }, context);
    await store.upload({ bucket: "labelled", region: "auto", prefix: "" }, [file("one", "1")], { context });
    expect(await store.deleteBucket("labelled", context)).toBe("deleted");
    expect(r2.unknown).toEqual([]);
  });

  test("lends keys that reach one place alone, and none for what R2 refuses", async () => {
    const store = storeOf(server);
    await store.createBucket("lent", { region: "auto", labels: {} }, context);
    const place = { bucket: "lent", region: "auto", prefix: "in" };
    await store.upload({ ...place, prefix: "" }, [file("out", "2")], { context });
    await store.upload(place, [file("one", "1")], { context });
    const wish = { isReadOnly: true, sessionName: "sky-c", cluster: { clusterName: "c" }, context };
    const { keys, endpoint } = await store.lendKeys(place, wish);
    const client = new S3Client({ region: "auto", endpoint: endpoint ?? "", credentials: keys, forcePathStyle: true });
    const statusOf = async (call: Promise<{ $metadata: { httpStatusCode?: number } }>): Promise<number | undefined> => {
      const { $metadata } = await call.catch((error: { $metadata: { httpStatusCode?: number } }) => error);
      return $metadata.httpStatusCode;
    };
    const on = { Bucket: "lent" };
    expect(await statusOf(client.send(new GetObjectCommand({ ...on, Key: "in/one" })))).toBe(200);
    expect(await statusOf(client.send(new GetObjectCommand({ ...on, Key: "out" })))).toBe(403);
    expect(await statusOf(client.send(new PutObjectCommand({ ...on, Key: "in/two", Body: "2" })))).toBe(403);
    client.destroy();
    r2.refusesTemporary = true;
    await expect(store.lendKeys(place, wish)).rejects.toThrow(
      "Cloudflare R2 does not take temporary credentials of the R2 API token for lent (Unauthorized).",
    );
    r2.refusesTemporary = false;
    // Nothing speaks against keys for a bucket that is made later.
    await expect(store.lendKeys({ ...place, bucket: "later" }, wish)).resolves.toMatchObject({ endpoint: r2.url });
  });

  test("takes content by TLS with a sum of each part, where AWS_CA_BUNDLE vouches for it", async () => {
    const tls = makeCertificate(directory);
    const secure = await R2Front.start(moto.url, tls);
    const home = mkdtempSync(join(directory, "home-"));
    const env = { AWS_CA_BUNDLE: tls.certificate };
    const open = writeAccount(home, secure, env);
    const place = { bucket: "sealed", region: "auto", prefix: "" };
    await open().createBucket("sealed", { region: "auto", labels: {} }, context);
    const files = [file("small", "1"), file("large", "123456789".repeat(2_000_000))];
    expect(await open().upload(place, files, { context })).toMatchObject({ files: 2, unchangedFiles: 0 });
    expect(await open().upload(place, files, { context })).toMatchObject({ unchangedFiles: 2 });
    expect(secure.summed.sort()).toEqual(["large", "large", "large", "small"]);
    expect(secure.unknown).toEqual([]);
    await expect(writeAccount(home, secure, {})().findBucket(place, context)).rejects.toThrow(
      "self-signed certificate",
    );
    expect(await open().deleteBucket("sealed", context)).toBe("deleted");
    await secure.close();
  });
});
