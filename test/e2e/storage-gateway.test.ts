import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  CreateBucketCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findGateway, S3Gateway } from "../support/s3/gateway.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";

const PROFILE = `[default]
region = us-east-1
services = own
[services own]
s3 =
  endpoint_url = S3
sts =
  endpoint_url = STS
`;
const COPIES = `
resources: {infra: local}
num_nodes: 2
file_mounts:
  ~/data: {name: my-bucket, source: ./src, store: s3, mode: COPY}
run: cd; find -L data -type f | sort | tr '\\n' ' '; cat data/a.txt; wc -c < data/big.bin
`;
const MIB = 1024 * 1024;

/** STS as AWS answers for keys that it never gave out. */
async function startSts(): Promise<Server> {
  const sts = createServer((request, response) => {
    request.resume();
    response.writeHead(403, { "content-type": "text/xml" });
    response.end(
      "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>" +
        "<Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>",
    );
  }).listen(0, "127.0.0.1");
  await once(sts, "listening");
  return sts;
}

describe.skipIf(findGateway() === undefined)("buckets on a server beside AWS (versitygw, SKY_S3_GATEWAY)", () => {
  let gateway: S3Gateway;
  let sts: Server;
  let sandbox: Sandbox;
  let s3: S3Client;

  beforeAll(async () => {
    [gateway, sts, sandbox] = await Promise.all([S3Gateway.start(), startSts(), Sandbox.create()]);
    s3 = gateway.client();
    writeProfile(gateway.keys.secretAccessKey);
    sandbox.write("src/a.txt", "one\n");
    sandbox.write("src/sub/ü ö+%20&=?#(1)!*.txt", "odd\n");
    sandbox.write("src/big.bin", "x".repeat(20 * MIB + 5));
    sandbox.write("copies.yaml", COPIES);
    await sandbox.startServer({ AWS_EC2_METADATA_DISABLED: "true" });
  });

  afterAll(async () => {
    s3?.destroy();
    sts?.close();
    await sandbox?.dispose();
    gateway?.stop();
  });

  /** Keys that S3 alone knows. */
  function writeProfile(secret: string): void {
    const directory = join(sandbox.home, ".aws");
    mkdirSync(directory, { recursive: true });
    const stsUrl = `http://127.0.0.1:${(sts.address() as AddressInfo).port}`;
    writeFileSync(join(directory, "config"), PROFILE.replace("STS", stsUrl).replace("= S3", `= ${gateway.url}`));
    const keys = `[default]\naws_access_key_id = ${gateway.keys.accessKeyId}\naws_secret_access_key = ${secret}\n`;
    writeFileSync(join(directory, "credentials"), keys, { mode: 0o600 });
  }

  async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const env = sandbox.env({ AWS_EC2_METADATA_DISABLED: "true" });
    const result = await sandbox.sky(args, { env });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  async function keysOf(bucket: string): Promise<string[]> {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  it("`sky check` tells keys of S3 alone from wrong ones", async () => {
    const { text } = await sky("check", "aws", "-v");
    expect(text).toContain("AWS: enabled [storage]");
    expect(text).toContain(`Buckets: S3 at ${gateway.url}, without an AWS account\n`);
    expect(text).toContain(
      `Reason [compute]: These credentials are for S3 at ${gateway.url} alone, so there are no nodes on EC2. AWS does not know them.`,
    );
    expect(text).toContain("Mounted buckets: not with these credentials (aws.remote_identity: LOCAL_CREDENTIALS");
    writeProfile("wrong");
    const wrong = await sky("check", "aws");
    expect(wrong.text).not.toContain("enabled [");
    expect(wrong.text).toContain(`Reason [storage]: S3 at ${gateway.url}: [SignatureDoesNotMatch]`);
    writeProfile(gateway.keys.secretAccessKey);
  });

  it("a profile whose URL is for all services works, too", async () => {
    const config = join(sandbox.home, ".aws/config");
    writeFileSync(config, `[default]\nendpoint_url = ${gateway.url}\n`);
    expect((await sky("check", "aws", "-v")).text).toContain(`Buckets: S3 at ${gateway.url}, without an AWS account\n`);
    writeProfile(gateway.keys.secretAccessKey);
    await sky("check", "aws");
  });

  it("a bucket is made, filled, listed, copied to every node, and deleted", async () => {
    const { text, exitCode } = await sky("launch", "-y", "-c", "c", "copies.yaml");
    expect(exitCode, text).toBe(0);
    expect(text).toContain("  Created S3 bucket 'my-bucket' in us-east-1\n");
    const line = `data/a.txt data/big.bin data/sub/ü ö+%20&=?#(1)!*.txt one`;
    expect(text.split(`) ${line}\n`)).toHaveLength(3);
    expect(text.split(`) ${20 * MIB + 5}\n`)).toHaveLength(3);
    expect(await keysOf("my-bucket")).toEqual(["a.txt", "big.bin", "sub/ü ö+%20&=?#(1)!*.txt"]);
    expect((await sky("launch", "-y", "-c", "c", "copies.yaml")).text).not.toContain("Created S3 bucket");
    const [row] = parseTable((await sky("storage", "ls")).stdout, "NAME");
    expect([row?.["NAME"], row?.["STORE"], row?.["STATUS"]]).toEqual(["my-bucket", "S3", "READY"]);
    expect((await sky("storage", "delete", "-y", "my-bucket")).text).toBe("Deleted S3 bucket my-bucket.\n");
  });

  it("a mount is refused before anything is made, with what works instead", async () => {
    sandbox.write("mount.yaml", COPIES.replace("mode: COPY", "mode: MOUNT"));
    expectRefusal(await sky("launch", "-y", "-c", "never", "mount.yaml"), {
      exitCode: 1,
      message: `S3 at ${gateway.url} has no keys for a single bucket to give to nodes.`,
      hint: "aws.remote_identity: LOCAL_CREDENTIALS",
    });
  });

  describe("without any credentials", () => {
    beforeAll(async () => {
      for (const [bucket, actions] of [
        ["public", ["s3:GetObject", "s3:ListBucket"]],
        ["readable", ["s3:GetObject"]],
        ["private", []],
      ] as const) {
        await s3.send(new CreateBucketCommand({ Bucket: bucket }));
        for (const Key of ["set/one.txt", "set/ü +.txt"]) {
          await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: `${bucket}\n` }));
        }
        if (actions.length === 0) continue;
        const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
        const Statement = actions.map((Action) => ({
          Effect: "Allow",
          Principal: "*",
          Action,
          Resource: Resource[Action === "s3:ListBucket" ? 0 : 1],
        }));
        const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
        await s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      }
      writeFileSync(join(sandbox.home, ".aws/credentials"), "");
      await sky("check", "aws");
    });

    const launch = (mounts: string): Promise<RunResult & { readonly text: string }> => {
      const yaml = `resources: {infra: local}\nnum_nodes: 2\nfile_mounts:\n${mounts}run: cd; cat set/* one.txt\n`;
      return sky("launch", "-y", "-c", "p", sandbox.write("public.yaml", yaml));
    };

    it("public buckets and objects are copied to every node", async () => {
      const { text, exitCode } = await launch(
        `  ~/set: s3://public/set\n  ~/one.txt: s3://readable/set/one.txt\n  ~/web.txt: ${gateway.url}/public/set/one.txt\n`,
      );
      expect(exitCode, text).toBe(0);
      expect(text).toContain("AWS access is off: s3://public/set is read without credentials.\n");
      expect(text.match(/\) public$/gmu)).toHaveLength(4);
      expect(text.match(/\) readable$/gmu)).toHaveLength(2);
    });

    it("what is not public is refused before a node is there", async () => {
      for (const uri of ["s3://private/set", "s3://private/set/one.txt", "s3://readable/set"]) {
        expectRefusal(await launch(`  ~/set: ${uri}\n`), {
          exitCode: 1,
          message: `${uri} cannot be read. ${gateway.url}, asked without credentials, refused`,
          hint: "Set up AWS access, then run: sky check aws",
        });
      }
      expectRefusal(await launch("  ~/set: {name: made, source: ./src, mode: COPY}\n"), {
        exitCode: 1,
        message: 'Storage "store: s3" specified, but AWS access is disabled.',
      });
    });
  });
});
