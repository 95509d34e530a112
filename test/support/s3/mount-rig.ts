import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { ProcessInfo } from "../../e2e/support/process-tree.ts";
import { plainText } from "../../e2e/support/plain-text.ts";
import type { RunResult } from "../../e2e/support/run-program.ts";
import type { HostOptions } from "../../fleet/host-options.ts";
import { createSshPool, type SshPool } from "../../fleet/ssh-pool.ts";
import { keysEnv } from "../aws/keys-env.ts";
import { Moto } from "../aws/moto.ts";
import { findRclone } from "./rclone.ts";
import { S3Front } from "./s3-front.ts";

/** The key of the user whose server it is. */
export const STATIC_SECRET = "canary-static-4f1c0d2e9a";

export interface MountHost extends HostOptions {
  /** Whether it mounts by the rclone of the machine's distribution, which is older than the one that nodes get. */
  readonly hasOldRclone?: boolean;
}

export interface Ran extends RunResult {
  readonly text: string;
}

/** A pool of machines over SSH, a server with keys of a user, and S3 in their network. */
export class MountRig {
  readonly pool: SshPool;
  readonly moto: Moto;
  readonly front: S3Front;
  readonly s3: S3Client;
  /** Further variables of the server and its clients. */
  extraEnv: Readonly<Record<string, string>> = {};

  private constructor(parts: Pick<MountRig, "pool" | "moto" | "front">) {
    this.pool = parts.pool;
    this.moto = parts.moto;
    this.front = parts.front;
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.s3 = new S3Client({ region: "us-east-1", endpoint: this.moto.url, credentials, forcePathStyle: true });
  }

  static async create(hosts: readonly MountHost[]): Promise<MountRig> {
    const [pool, moto] = await Promise.all([createSshPool(hosts.map(withRclone)), Moto.start()]);
    const front = await S3Front.open(pool.fleet, moto.url);
    return new MountRig({ pool, moto, front });
  }

  /** Starts the server, and takes the pool and the account into use. */
  async begin(): Promise<void> {
    await this.pool.sandbox.startServer(this.env);
    await this.sky("ssh", "up");
    await this.sky("check", "aws");
  }

  get env(): Record<string, string> {
    return {
      ...keysEnv(this.front.url, STATIC_SECRET),
      ...this.extraEnv,
    };
  }

  async sky(...args: readonly string[]): Promise<Ran> {
    const result = await this.pool.sandbox.sky(args, { env: this.pool.sandbox.env(this.env), timeoutMs: 170_000 });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  /** Launches a task that has to succeed; answers with what was printed. */
  async launch(cluster: string, yaml: string): Promise<string> {
    const file = this.pool.sandbox.write(`${cluster}.yaml`, yaml);
    const { text, exitCode } = await this.sky("launch", "-y", "-c", cluster, file);
    if (exitCode !== 0) throw new Error(text);
    return text;
  }

  /** The programs that keep mounts up on a host. */
  mounters(host: string): ProcessInfo[] {
    const processes = this.pool.fleet.host(host).processes();
    return processes.filter(({ argv }) => /(?:^|\/)rclone mount2? :s3:/u.test(argv.slice(0, 3).join(" ")));
  }

  /** A script on a host, as its user. */
  async on(host: string, script: string): Promise<string> {
    return (await this.pool.fleet.host(host).exec(["sh", "-c", script], { user: "dev" })).stdout;
  }

  async createBucket(bucket: string, objects: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.moto.createBucket(bucket);
    for (const [Key, Body] of Object.entries(objects)) {
      await this.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    }
  }

  /** Undefined when there is none of that name. */
  async textOf(bucket: string, key: string): Promise<string | undefined> {
    if (!(await this.keysOf(bucket)).includes(key)) return undefined;
    const object = await this.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return object.Body?.transformToString();
  }

  async keysOf(bucket: string): Promise<string[]> {
    const page = await this.s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  async dispose(): Promise<void> {
    this.s3.destroy();
    await this.pool.dispose();
    await this.front.close();
    this.moto.stop();
  }
}

function withRclone(host: MountHost): HostOptions {
  const rclone = findRclone();
  const keepsOwn = host.hasOldRclone === true || host.without?.includes("rclone") === true;
  return rclone === undefined || keepsOwn ? host : { ...host, installed: { rclone } };
}
