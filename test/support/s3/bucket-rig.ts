import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { plainText } from "../../e2e/support/plain-text.ts";
import type { RunResult } from "../../e2e/support/run-program.ts";
import { Sandbox } from "../../e2e/support/sandbox.ts";
import { keysEnv } from "../aws/keys-env.ts";
import { Moto } from "../aws/moto.ts";

export interface Ran extends RunResult {
  /** What it printed, without colours. */
  readonly text: string;
}

/** A user of this machine alone, with an account whose S3 moto plays. */
export class BucketRig {
  readonly moto: Moto;
  readonly sandbox: Sandbox;
  readonly s3: S3Client;

  private constructor(moto: Moto, sandbox: Sandbox) {
    this.moto = moto;
    this.sandbox = sandbox;
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
  }

  /** Starts the server, with AWS in use. */
  static async create(): Promise<BucketRig> {
    const [moto, sandbox] = await Promise.all([Moto.start(), Sandbox.create()]);
    const rig = new BucketRig(moto, sandbox);
    await sandbox.startServer(rig.env);
    await rig.sky("check", "aws");
    return rig;
  }

  get env(): Record<string, string> {
    return {
      ...keysEnv(this.moto.url),
    };
  }

  async sky(...args: readonly string[]): Promise<Ran> {
    const result = await this.sandbox.sky(args, { env: this.sandbox.env(this.env) });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  /** Launches a task on this machine, on cluster `cluster`. */
  launch(cluster: string, yaml: string): Promise<Ran> {
    const file = this.sandbox.write(`${cluster}.yaml`, `resources: {infra: local}\n${yaml}`);
    return this.sky("launch", "-y", "-c", cluster, file);
  }

  async buckets(): Promise<string[]> {
    const { Buckets } = await this.s3.send(new ListBucketsCommand({}));
    return (Buckets ?? []).flatMap((bucket) => bucket.Name ?? []).sort();
  }

  async keysOf(bucket: string): Promise<string[]> {
    const page = await this.s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  async textOf(bucket: string, key: string): Promise<string | undefined> {
    const object = await this.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return object.Body?.transformToString();
  }

  async createBucket(bucket: string, objects: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.moto.createBucket(bucket);
    for (const [Key, Body] of Object.entries(objects)) {
      await this.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    }
  }

  /** Takes a bucket away that has no versions, with everything in it. */
  async removeBucket(bucket: string): Promise<void> {
    for (const Key of await this.keysOf(bucket)) await this.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    await this.s3.send(new DeleteBucketCommand({ Bucket: bucket }));
  }

  async dispose(): Promise<void> {
    this.s3.destroy();
    await this.sandbox.dispose();
    this.moto.stop();
  }
}
