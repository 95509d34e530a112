import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Gate, type GateUser } from "../support/aws/gate.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import type { Statement } from "../support/aws/policy-evaluator.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";

interface Printed {
  readonly Version: string;
  readonly Statement: readonly Statement[];
}

describe.skipIf(findMoto() === undefined)("what `sky aws policy --bucket` prints", () => {
  let moto: Moto;
  let gate: Gate;
  let ann: GateUser;
  let sandbox: Sandbox;

  beforeAll(async () => {
    [moto, sandbox] = await Promise.all([Moto.start(), Sandbox.create()]);
    gate = await Gate.open(moto.url);
    ann = gate.user("ann", []);
    await moto.createBucket("shared");
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    const s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
    for (const Key of ["models/a.bin", "models/b.bin", "secret/c.bin"]) {
      await s3.send(new PutObjectCommand({ Bucket: "shared", Key, Body: `${Key}\n` }));
    }
    s3.destroy();
    sandbox.write("src/a.txt", "one\n");
    sandbox.write("src/big.bin", "x".repeat(9 * 1024 * 1024));
    await sandbox.startServer({ AWS_EC2_METADATA_DISABLED: "true" });
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await gate?.close();
    moto?.stop();
  });

  async function asAnn(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const env = sandbox.env({
      AWS_ENDPOINT_URL: gate.url,
      AWS_ACCESS_KEY_ID: "AKIAGATEANN",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_EC2_METADATA_DISABLED: "true",
    });
    const result = await sandbox.sky(args, { env });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  async function printed(...options: readonly string[]): Promise<Printed> {
    const { stdout, stderr } = await sandbox.sky(["aws", "policy", "--account", "123456789012", ...options]);
    expect(stderr).not.toContain("error");
    return JSON.parse(stdout) as Printed;
  }

  const task = (name: string, mount: string): string =>
    sandbox.write(
      `${name}.yaml`,
      `resources: {infra: local}\nfile_mounts:\n  ~/data: ${mount}\nrun: cd ~/data; find -L . -type f | sort | tr '\\n' ' '\n`,
    );

  it("suffices for a bucket that is made, filled, copied and deleted, and for no other", async () => {
    ann.policy = (await printed("--features", "s3,buckets", "--bucket", "mine-*")).Statement;
    const checked = await asAnn("check", "aws");
    expect(checked.text).toContain("Hint [storage]: Buckets cannot be listed");
    const bucket = (name: string): string => `{name: ${name}, source: ./src, store: s3, mode: COPY}`;
    const { text, exitCode } = await asAnn("launch", "-y", "-c", "c", task("mine", bucket("mine-1")));
    expect(exitCode, text).toBe(0);
    expect(text).toContain(") ./a.txt ./big.bin");
    expect((await asAnn("storage", "delete", "-y", "mine-1")).text).toBe("Deleted S3 bucket mine-1.\n");
    for (const mount of [bucket("other"), bucket("shared"), "s3://shared/models"]) {
      expectRefusal(await asAnn("launch", "-y", "-c", "c", task("other", mount)), {
        exitCode: 1,
        message:
          /AWS refused s3:CreateBucket on arn:aws:s3:::other|Failed to access existing bucket '(?:other|shared)'/u,
      });
    }
    expect((await asAnn("storage", "ls")).text).toBe("No existing storage.\n");
  });

  it("suffices for a part of a bucket, and for nothing beside it", async () => {
    ann.policy = (await printed("--features", "s3", "--bucket", "shared/models")).Statement;
    await asAnn("check", "aws");
    const { text, exitCode } = await asAnn("launch", "-y", "-c", "part", task("part", "s3://shared/models"));
    expect(exitCode, text).toBe(0);
    expect(text).toContain(") ./a.bin ./b.bin");
    for (const uri of ["s3://shared", "s3://shared/secret", "s3://shared/mod"]) {
      expectRefusal(await asAnn("launch", "-y", "-c", "part", task("beside", uri)), {
        exitCode: 1,
        message: "Failed to access existing bucket 'shared'",
      });
    }
  });

  it("public buckets are read unsigned by who may nothing with S3", async () => {
    ann.policy = (await printed()).Statement;
    expect((await asAnn("check", "aws")).text).toContain("AWS: enabled [compute");
    gate.publicBuckets.add("shared");
    const { text, exitCode } = await asAnn("launch", "-y", "-c", "public", task("public", "s3://shared/models"));
    gate.publicBuckets.clear();
    expect(exitCode, text).toBe(0);
    expect(text).toContain(
      "These AWS credentials may not read s3://shared/models, which is public: it is read without them.",
    );
    expect(text).toContain(") ./a.bin ./b.bin");
    ann.policy = (await printed("--features", "s3", "--bucket", "mine-*")).Statement;
    await asAnn("check", "aws");
    gate.publicBuckets.add("shared");
    const other = await asAnn("launch", "-y", "-c", "other", task("one", "s3://shared/secret"));
    gate.publicBuckets.clear();
    expect(other.text).toContain(
      "These AWS credentials may not read s3://shared/secret, which is public: it is read without them.",
    );
    expect(other.exitCode).toBe(0);
  });

  it("refuses to print what would not work", async () => {
    const refused = (...options: readonly string[]): Promise<RunResult> =>
      sandbox.sky(["aws", "policy", "--account", "123456789012", ...options]);
    expectRefusal(await refused("--features", "buckets", "--bucket", "b/part"), {
      exitCode: 1,
      message: "'b/part' is a part of a bucket, and the feature buckets makes and deletes whole ones.",
      hint: "--bucket b",
    });
    expectRefusal(await refused("--bucket", "No_Bucket"), { exitCode: 1, message: "'No_Bucket' names no bucket." });
    expectRefusal(await refused("--bucket", "b", "--diff"), { exitCode: 1, message: "for single buckets" });
  });
});
