import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { openAgents } from "../../../src/clouds/aws/auth/network.ts";
import type { ObjectStore, UploadProgress } from "../../../src/core/ports/object-store.ts";
import { context, storeOf, type S3Server } from "../../contract/object-store.contract.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { makeCertificate } from "./gateway.ts";

const MIB = 1024 * 1024;
const PLACE = { bucket: "cut", region: "us-east-1", prefix: "" };
/** What is sent. */
export const CUT = { Bucket: PLACE.bucket, Key: "big.bin" };
/** Of each part but the last. */
export const PART_BYTES = 8 * MIB;
/** How many parts it is sent in, all at once. */
export const PARTS = 4;

/** A large file on its way to a server, by connections that break. */
export class CutUpload {
  readonly proxy: CuttingProxy;
  readonly direct: S3Client;
  readonly path: string;
  readonly #directory: string;
  readonly #through: S3Server;

  private constructor(server: S3Server, { proxy, directory }: { proxy: CuttingProxy; directory: string }) {
    this.proxy = proxy;
    this.#directory = directory;
    this.path = join(directory, "file");
    writeFileSync(this.path, randomBytes(25 * MIB));
    // In whole seconds, so that it can be given them again.
    const atSeconds = Math.floor(Date.now() / 1000);
    utimesSync(this.path, atSeconds, atSeconds);
    const { url: endpoint, keys: credentials, caFile, isAws } = server;
    const agents = openAgents({ home: "/nowhere", env: caFile === undefined ? {} : { AWS_CA_BUNDLE: caFile } });
    const requestHandler = { httpAgent: agents.http, httpsAgent: agents.https };
    this.direct = new S3Client({ region: PLACE.region, endpoint, credentials, forcePathStyle: true, requestHandler });
    const seen = caFile === undefined ? {} : { caFile: join(directory, "server.pem") };
    this.#through = { url: proxy.url, keys: credentials, isAws, ...seen };
  }

  static async begin(server: S3Server): Promise<CutUpload> {
    const directory = mkdtempSync(join(tmpdir(), "cut-upload-"));
    const tls = server.caFile === undefined ? undefined : makeCertificate(directory);
    const upload = new CutUpload(server, { proxy: await CuttingProxy.start(server.url, tls), directory });
    await upload.direct.send(new CreateBucketCommand({ Bucket: CUT.Bucket }));
    return upload;
  }

  /** As it is after a start of the API server. */
  store(): ObjectStore {
    return storeOf(this.#through, this.#through.keys, { unfinishedUploads: this.#memory });
  }

  send(store = this.store(), signal: AbortSignal = context.signal): Promise<UploadProgress> {
    const { size, mtimeMs } = statSync(this.path);
    const file = { path: this.path, key: CUT.Key, size, mtimeMs };
    return store.upload(PLACE, [file], { context: { ...context, signal } });
  }

  /** Sends so many parts; then the connection is away for as long as anybody tries. Gives the numbers of these parts. */
  async cutAfter(parts: number): Promise<number[]> {
    this.proxy.partsUntilCut = parts;
    const isWhole = await this.send().then(
      () => true,
      () => false,
    );
    if (isWhole) throw new Error("The upload was not cut off.");
    this.proxy.partsUntilCut = Infinity;
    return this.proxy.parts.splice(0);
  }

  /** Ids of the uploads that the bucket has. */
  async unfinished(): Promise<string[]> {
    const { Uploads } = await this.direct.send(new ListMultipartUploadsCommand({ Bucket: CUT.Bucket }));
    return (Uploads ?? []).flatMap(({ UploadId }) => UploadId ?? []);
  }

  /** Permissions of what the API server remembers by. */
  remembered(): number[] {
    return readdirSync(this.#memory).map((name) => statSync(join(this.#memory, name)).mode & 0o777);
  }

  get #memory(): string {
    return join(this.#directory, "unfinished");
  }

  async isWhole(): Promise<boolean> {
    const { Body } = await this.direct.send(new GetObjectCommand(CUT));
    const content = Buffer.from((await Body?.transformToByteArray()) ?? []);
    return content.equals(readFileSync(this.path));
  }

  async end(): Promise<void> {
    await this.proxy.close();
    await this.direct.send(new DeleteObjectCommand(CUT));
    await this.direct.send(new DeleteBucketCommand({ Bucket: CUT.Bucket }));
    this.direct.destroy();
    rmSync(this.#directory, { recursive: true });
  }
}
