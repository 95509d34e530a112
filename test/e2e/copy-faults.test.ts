import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { findGateway, S3Gateway } from "../support/s3/gateway.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const MIB = 1024 * 1024;
/** More parts than are under way at a time, so that there is something to ask for in the middle. */
const PARTS = 64;
const PART_BYTES = 4 * MIB;
const LONG_MS = 240_000;
const SMALL = { resources: ", accelerators: 'L4:1'", nodes: 1 };
const PUBLIC = (bucket: string): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: "*", Action: "s3:ListBucket", Resource: `arn:aws:s3:::${bucket}` },
      { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: `arn:aws:s3:::${bucket}/*` },
    ],
  });

type Ran = RunResult & { readonly text: string };

/** Nodes and keys that go in the middle; the server that goes is in storage-faults.test.ts. */
describeWithFleet("copies of buckets that are disturbed", () => {
  let pool: SshPool;
  let gateway: S3Gateway;

  beforeAll(async () => {
    if (findGateway() === undefined) throw new Error("There is no versitygw.");
    pool = await createSshPool([{ name: "n0" }, { name: "n1" }, { name: "tiny", diskMib: 600, gpus: ["NVIDIA L4"] }]);
    gateway = await S3Gateway.startIn(pool.fleet);
    for (const name of ["first", "second"])
      await admin("create-user", name, "--secret", `secret-${name}`, "--role", "admin");
    useKeys("first");
    await pool.sandbox.startServer(env());
    await sky("ssh", "up");
    expect((await sky("check", "aws")).text).toContain("AWS: enabled [storage]");
    put("parts", PARTS);
    // Brings agent and runtime, which are not to be measured here.
    const warm = [launch("keys", ""), launch("small", "", SMALL)];
    for (const { text, exitCode } of await Promise.all(warm)) expect(exitCode, text).toBe(0);
    for (const host of ["n0", "n1", "tiny"]) await pool.fleet.host(host).setLink({ rateKbit: 300_000 });
  });

  afterAll(() => pool?.dispose());

  /** Nothing but where S3 is: keys are in the user's file. */
  function env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_S3: gateway.url,
      AWS_ENDPOINT_URL_STS: gateway.url,
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  async function admin(command: string, access: string, ...options: readonly string[]): Promise<void> {
    const { accessKeyId, secretAccessKey } = gateway.keys;
    const as = ["--access", accessKeyId, "--secret", secretAccessKey, "--endpoint-url", gateway.url];
    const argv = [findGateway() ?? "", "admin", ...as, command, "--access", access, ...options];
    const { exitCode, stderr } = await pool.fleet.run(argv);
    expect(exitCode, stderr).toBe(0);
  }

  function useKeys(name: string | undefined): void {
    const directory = join(pool.sandbox.home, ".aws");
    mkdirSync(directory, { recursive: true });
    const keys =
      name === undefined ? "" : `[default]\naws_access_key_id = ${name}\naws_secret_access_key = secret-${name}\n`;
    writeFileSync(join(directory, "credentials"), keys, { mode: 0o600 });
  }

  async function sky(...args: readonly string[]): Promise<Ran> {
    const result = await pool.sandbox.sky(args, { env: pool.sandbox.env(env()) });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  function launch(
    cluster: string,
    mounts: string,
    { resources = "", nodes = 2, run = "echo done" } = {},
  ): Promise<Ran> {
    const yaml = `num_nodes: ${nodes}\nresources: {infra: ssh/rack${resources}}\nfile_mounts: {${mounts}}\nrun: ${run}\n`;
    return sky("launch", "-y", "-c", cluster, pool.sandbox.write(`${cluster}.yaml`, yaml));
  }

  function put(bucket: string, parts: number): void {
    const directory = join(gateway.buckets, bucket);
    mkdirSync(directory, { recursive: true });
    for (let part = 0; part < parts; part += 1) writeFileSync(join(directory, `part${part}`), randomBytes(PART_BYTES));
  }

  async function on(host: string, script: string): Promise<string> {
    return (await pool.fleet.host(host).exec(["sh", "-c", script], { user: "dev" })).stdout;
  }

  async function untilSomeArrived(host: string, directory: string): Promise<void> {
    const count = `ls ${directory} 2>/dev/null | grep -c '^part[0-9]*$'`;
    await waitFor("some of it to arrive", async () => Number(await on(host, count)) > 0, { timeoutMs: 60_000 });
  }

  /** What is there of the parts, and whether each of them is whole. */
  async function sums(host: string, directory: string): Promise<string> {
    return on(host, `cd ${directory} && ls -A | wc -l; cat part* | sha256sum`);
  }

  it("keys that are replaced in the middle: the copy goes on with the new ones", { timeout: LONG_MS }, async () => {
    const launched = launch("keys", "~/keys: s3://parts");
    await untilSomeArrived("n0", "~/keys");
    useKeys("second");
    await admin("delete-user", "first");
    const { text, exitCode } = await launched;
    expect(exitCode, text).toBe(0);
    expect(await sums("n0", "~/keys")).toMatch(new RegExp(`^${PARTS}\n`, "u"));
    expect(await sums("n1", "~/keys")).toBe(await sums("n0", "~/keys"));
  });

  it("keys that end for good are said, with what to do", { timeout: LONG_MS }, async () => {
    await on("n0", "rm -rf ~/keys");
    await admin("create-user", "third", "--secret", "secret-third", "--role", "admin");
    useKeys("third");
    const launched = launch("keys", "~/keys: s3://parts");
    await untilSomeArrived("n0", "~/keys");
    await admin("delete-user", "third");
    const refused = await launched;
    expectRefusal(refused, {
      exitCode: 1,
      message: "s3://parts cannot be read. The AWS Access Key Id you provided does not exist in our records.",
      hint: "sky check aws",
    });
    useKeys("second");
    expect((await launch("keys", "~/keys: s3://parts")).exitCode).toBe(0);
    expect(await sums("n0", "~/keys")).toBe(await sums("n1", "~/keys"));
  });

  it(
    "a disk that fills in the middle is named, nothing half is left, and a repetition goes on",
    { timeout: LONG_MS },
    async () => {
      const launched = launch("small", "~/parts: s3://parts", SMALL);
      await untilSomeArrived("tiny", "~/parts");
      await on("tiny", "head -c 500M /dev/zero > ~/filler 2>/dev/null");
      expectRefusal(await launched, { exitCode: 1, message: /space/u, hint: /space/u });
      const sizes = (await on("tiny", "find ~/parts -type f -printf '%s\\n'")).trim().split("\n");
      expect(new Set(sizes)).toEqual(new Set([String(PART_BYTES)]));
      await on("tiny", "rm ~/filler");
      expect((await launch("small", "~/parts: s3://parts", SMALL)).exitCode).toBe(0);
      expect(await on("tiny", "ls -A ~/parts | wc -l")).toBe(`${PARTS}\n`);
    },
  );

  it(
    "a node that is rebooted in the middle: what was copied is kept, and a repetition goes on",
    { timeout: LONG_MS },
    async () => {
      const launched = launch("keys", "~/boot: s3://parts");
      await untilSomeArrived("n1", "~/boot");
      await pool.fleet.host("n1").reboot({ isHard: true });
      const first = await launched;
      if (first.exitCode !== 0) {
        expectRefusal(first, { exitCode: 1, message: /n1|node|agent/iu });
        const again = await launch("keys", "~/boot: s3://parts");
        expect(again.exitCode, again.text).toBe(0);
      }
      expect(await sums("n1", "~/boot")).toBe(await sums("n0", "~/boot"));
    },
  );

  it("public buckets are copied to nodes without any credentials", { timeout: LONG_MS }, async () => {
    put("open", 1);
    const { accessKeyId, secretAccessKey } = gateway.keys;
    const unsigned = ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"];
    const signed = [...unsigned, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", `${accessKeyId}:${secretAccessKey}`];
    const policy = ["-sX", "PUT", "--data-binary", PUBLIC("open"), `${gateway.url}/open?policy=`];
    expect((await pool.fleet.run(["curl", ...signed, ...policy])).stdout).toBe("");
    useKeys(undefined);
    await sky("check", "aws");
    const { text, exitCode: code } = await launch("keys", "~/set: s3://open, ~/one: s3://open/part0");
    expect(code, text).toBe(0);
    expect(text).toContain("AWS access is off: s3://open is read without credentials.\n");
    expect(await on("n1", "cmp ~/set/part0 ~/one && echo same")).toBe("same\n");
    expectRefusal(await launch("keys", "~/parts: s3://parts"), { exitCode: 1, message: "s3://parts cannot be read." });
  });
});
