import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { scriptOfPage } from "../support/doc-script.ts";
import { R2Front } from "../support/s3/r2-front.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import { runProgram, type RunResult } from "./support/run-program.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";

const MIB = 1024 * 1024;
const COPIES = `
resources: {infra: local}
num_nodes: 2
file_mounts:
  ~/data: {name: my-bucket, source: ./src, store: r2, mode: COPY}
  ~/part: r2://extern/some/part
  ~/one.txt: r2://extern/some/part/inner.txt
run: cd; find -L data part one.txt -type f | sort | tr '\\n' ' '; cat data/a.txt; wc -c < data/big.bin
`;
const MOUNTS = `
resources: {infra: local}
file_mounts:
  ~/data: {source: r2://extern}
  ~/part: {source: r2://extern/some/part, config: {mount: {read_only: true}}}
  ~/cached: {name: cached, store: R2, source: ./src, mode: MOUNT_CACHED}
run: |
  cat ~/data/some/part/inner.txt ~/part/inner.txt ~/cached/a.txt
  echo new > ~/data/new.txt; echo more >> ~/data/new.txt
  echo no > ~/part/no 2>/dev/null || echo read only
  mkdir ~/cached/deep; head -c 40000000 /dev/zero > ~/cached/deep/big.bin
`;

describe.skipIf(findMoto() === undefined)("buckets on Cloudflare R2", () => {
  let moto: Moto;
  let r2: R2Front;
  let sandbox: Sandbox;
  let s3: S3Client;

  beforeAll(async () => {
    [moto, sandbox] = await Promise.all([Moto.start(), Sandbox.create()]);
    r2 = await R2Front.start(moto.url);
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    s3 = new S3Client({ region: "us-east-1", endpoint: moto.url, credentials, forcePathStyle: true });
    await s3.send(new CreateBucketCommand({ Bucket: "extern" }));
    for (const Key of ["some/part/inner.txt", "some/part/ü +.txt", "other.txt"]) {
      await s3.send(new PutObjectCommand({ Bucket: "extern", Key, Body: "inner\n" }));
    }
    sandbox.write("src/a.txt", "one\n");
    sandbox.write("src/sub/ü ö+%20&=?#(1)!*.txt", "odd\n");
    sandbox.write("src/big.bin", "x".repeat(20 * MIB + 5));
    await sandbox.startServer(env());
  });

  afterAll(async () => {
    s3?.destroy();
    await sandbox?.dispose();
    await r2?.close();
    moto?.stop();
  });

  beforeEach(() => {
    r2.buckets = undefined;
    r2.refusesTemporary = false;
    r2.mayWrite = true;
    for (const list of [r2.refusals, r2.byToken]) list.length = 0;
    writeFiles();
  });

  /** There is no AWS; the variables of a server that speaks S3 say nothing of R2. */
  function env(): Record<string, string> {
    return { AWS_EC2_METADATA_DISABLED: "true", AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9" };
  }

  function home(path: string, text: string | undefined): void {
    const file = join(sandbox.home, path);
    if (text === undefined) return rmSync(file, { force: true });
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
  }

  function writeFiles(credentials: string | undefined = r2.credentialsFile, account = `${r2.accountId}\n`): void {
    home(".cloudflare/r2.credentials", credentials);
    home(".cloudflare/accountid", account);
  }

  async function sky(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await sandbox.sky(args, { env: sandbox.env(env()) });
    const text = plainText(result.stdout + result.stderr);
    expect(text).not.toContain(r2.keys.secretAccessKey);
    return { ...result, text };
  }

  const launch = (cluster: string, yaml: string): ReturnType<typeof sky> =>
    sky("launch", "-y", "-c", cluster, sandbox.write(`${cluster}.yaml`, yaml));

  async function keysOf(bucket: string): Promise<string[]> {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return (page.Contents ?? []).flatMap((object) => object.Key ?? []).sort();
  }

  describe("sky check cloudflare", () => {
    const check = async (): Promise<string> => (await sky("check", "cloudflare", "-v")).text;

    it("says what of the set-up is wrong, and how to repair it", async () => {
      home(".cloudflare/r2.credentials", "[other]\naws_access_key_id = a\n");
      expect(await check()).toContain(
        "  Cloudflare: disabled\n    Reason [storage]: [r2] profile is not set in ~/.cloudflare/r2.credentials. Run the following commands:\n" +
          "      $ AWS_SHARED_CREDENTIALS_FILE=~/.cloudflare/r2.credentials aws configure --profile r2\n",
      );
      writeFiles("[r2]\naws_access_key_id = a\n");
      expect(await check()).toContain("[r2] of ~/.cloudflare/r2.credentials lacks aws_secret_access_key.");
      writeFiles("[r2]\n[r2]\n");
      expect(await check()).toContain(
        "~/.cloudflare/r2.credentials cannot be read: line 2: the section [r2] is there twice.",
      );
      writeFiles(r2.credentialsFile, "<YOUR_ACCOUNT_ID_HERE>\n");
      expect(await check()).toContain("~/.cloudflare/accountid holds no account ID, which is 32 hexadecimal digits.");
      writeFiles(r2.credentialsFile.replace("http://", ""));
      expect(await check()).toContain("endpoint_url of [r2] in ~/.cloudflare/r2.credentials is no URL.");
    });

    it("tells keys that R2 does not take, and an R2 that is not there", async () => {
      writeFiles(r2.credentialsFile.replace(r2.keys.secretAccessKey, "wrong"));
      expect(await check()).toContain(
        "Reason [storage]: Cloudflare R2 does not accept the keys of ~/.cloudflare/r2.credentials (SignatureDoesNotMatch: ",
      );
      writeFiles(r2.credentialsFile.replace(r2.keys.accessKeyId, "f00d"));
      expect(await check()).toContain("r2.credentials (Unauthorized: Unauthorized). Run the following command:\n");
      writeFiles(r2.credentialsFile.replace(r2.url, "http://127.0.0.1:9"));
      expect(await check()).toContain("Reason [storage]: 127.0.0.1:9 cannot be reached: the connection is refused.");
    });

    it("says what can be done with a token, for all buckets or for some", async () => {
      expect(await check()).toContain(
        `  Cloudflare: enabled [storage]\n    Account: ${r2.accountId}\n` +
          "    Credentials: keys of ~/.cloudflare/r2.credentials, profile r2, do not expire\n" +
          `    Buckets: R2 at ${r2.url}\n` +
          "    Mounted buckets: everywhere by temporary credentials, cut down to the bucket\n",
      );
      r2.buckets = ["extern"];
      expect(await check()).toContain("Hint [storage]: Buckets cannot be listed with this R2 API token;");
      const { stdout } = await sky("check", "-o", "json", "cloudflare");
      expect(JSON.parse(stdout)).toEqual({ default: { Cloudflare: ["storage"] } });
    });

    it("follows allowed_clouds and the workspace", async () => {
      home(".sky/config.yaml", "allowed_clouds: [cloudflare]\n");
      const { text } = await sky("check");
      expect(text).toContain("Enabled infra 🎉\n  Cloudflare [storage]\n  Local [compute]\n");
      expect(text).not.toContain("AWS: ");
      home(".sky/config.yaml", "workspaces: {default: {cloudflare: {disabled: true}}}\n");
      expect(await check()).toContain("Cloudflare is disabled for the workspace 'default' in ~/.sky/config.yaml.");
      home(".sky/config.yaml", undefined);
    });
  });

  it("are made, filled, listed, copied to every node, and deleted, by calls that R2 has", async () => {
    const { text, exitCode } = await launch("c", COPIES);
    expect(exitCode, text).toBe(0);
    expect(text).toContain("  Created R2 bucket 'my-bucket' in auto\n");
    expect(text).toContain(`✓ Storage synced: ${sandbox.work}/src -> r2://my-bucket/`);
    const files = "data/a.txt data/big.bin data/sub/ü ö+%20&=?#(1)!*.txt one.txt part/inner.txt part/ü +.txt one";
    expect(text.split(`) ${files}\n`)).toHaveLength(3);
    expect(text.split(`) ${20 * MIB + 5}\n`)).toHaveLength(3);
    expect(await keysOf("my-bucket")).toEqual(["a.txt", "big.bin", "sub/ü ö+%20&=?#(1)!*.txt"]);
    const [row] = parseTable((await sky("storage", "ls")).stdout, "NAME");
    expect([row?.["NAME"], row?.["STORE"], row?.["STATUS"]]).toEqual(["my-bucket", "R2", "READY"]);
    // Where it was made before counts for whoever names no store, too.
    const again = await launch("c", COPIES.replace(" store: r2,", ""));
    expect(again.exitCode, again.text).toBe(0);
    expect(again.text).not.toContain("Created");
    expectRefusal(await launch("c", COPIES.replace("store: r2", "store: s3")), {
      exitCode: 1,
      message: 'Storage "store: s3" specified, but AWS access is disabled.',
    });
    expect((await sky("storage", "delete", "-y", "my-bucket")).text).toBe("Deleted R2 bucket my-bucket.\n");
    expect(r2.unknown).toEqual([]);
  });

  it("are where storage objects go that name no store, while AWS is off", async () => {
    const { text, exitCode } = await launch("c", COPIES.replace("my-bucket", "unnamed").replace(" store: r2,", ""));
    expect(exitCode, text).toBe(0);
    expect(text).toContain("  Created R2 bucket 'unnamed' in auto\n");
    expect((await sky("storage", "delete", "-y", "unnamed")).text).toBe("Deleted R2 bucket unnamed.\n");
  });

  it("are mounted with keys that reach nothing else, and end", async () => {
    const { text, exitCode } = await launch("m", MOUNTS);
    expect(exitCode, text).toBe(0);
    expect(text).toContain(
      "Nodes mount buckets with keys for these alone, by temporary credentials of the R2 API token; this server renews them.\n",
    );
    expect(text).toContain("  Mounting (to 1 node): r2://extern/some/part -> ~/part\n");
    expect(text.match(/\) (?:inner|one|read only)$/gmu)).toHaveLength(4);
    expect(await keysOf("cached")).toContain("deep/big.bin");
    expect(await keysOf("extern")).toContain("new.txt");
    const whole = { sub: r2.accountId, iss: r2.keys.accessKeyId, aud: new URL(r2.url).host };
    expect([...r2.temporary].map((claims) => JSON.parse(claims) as unknown)).toEqual(
      expect.arrayContaining([
        { bucket: "extern", scope: "object-read-write", ...whole },
        {
          bucket: "extern",
          scope: "object-read-only",
          paths: { prefixPaths: ["some/part/"], objectPaths: [] },
          ...whole,
        },
        { bucket: "cached", scope: "object-read-write", ...whole },
      ]),
    );
    expect(r2.refusals).toEqual([]);
    expect(r2.unknown).toEqual([]);
    expect((await sky("down", "-y", "m")).exitCode).toBe(0);
  });

  it("are mounted to read only with a token that may do no more", async () => {
    r2.mayWrite = false;
    const task = (config: string): string =>
      `resources: {infra: local}\nfile_mounts: {~/data: {source: r2://extern, ${config}}}\nrun: cat ~/data/other.txt\n`;
    expectRefusal(await launch("reader", task("mode: MOUNT")), {
      exitCode: 1,
      message: "Cloudflare R2 does not take temporary credentials of the R2 API token for extern (AccessDenied).",
      hint: "With a token that may only read, mount with `config: {mount: {read_only: true}}`.",
    });
    const { text, exitCode } = await launch("reader", task("config: {mount: {read_only: true}}"));
    expect(exitCode, text).toBe(0);
    expect(text).toContain(") inner\n");
    await sky("down", "-y", "reader");
  });

  it("are mounted by the keys of the token itself where the config says so, and temporary ones are not taken", async () => {
    const mount =
      "resources: {infra: local}\nfile_mounts: {~/data: {source: r2://extern}}\nrun: cat ~/data/other.txt\n";
    r2.refusesTemporary = true;
    expectRefusal(await launch("never", mount), {
      exitCode: 1,
      message:
        "r2://extern cannot be mounted at ~/data. Cloudflare R2 does not take temporary credentials of the R2 API token for extern (Unauthorized).",
      hint: "Else use `mode: COPY`, or let the nodes use the R2 API token itself",
    });
    expect((await sky("status")).text).not.toContain("never");
    home(".sky/config.yaml", "cloudflare: {remote_identity: LOCAL_CREDENTIALS}\n");
    const { text, exitCode } = await launch("own", mount);
    expect(exitCode, text).toBe(0);
    expect(text).toContain(
      "Nodes mount buckets with the R2 API token itself (cloudflare.remote_identity: LOCAL_CREDENTIALS), in memory alone.\n",
    );
    expect(text).toContain(") inner\n");
    expect(r2.byToken).toContain("GET /extern/other.txt");
    home(".sky/config.yaml", undefined);
    await sky("down", "-y", "own");
  });

  it("the commands of the page that introduces them set them up", async () => {
    for (const name of ["r2.credentials", "accountid"]) home(`.cloudflare/${name}`, undefined);
    const bin = join(sandbox.work, "bin");
    mkdirSync(bin);
    writeFileSync(
      join(bin, "sky"),
      `#!/bin/bash\nexec '${process.execPath}' '${join(repoRoot, "bin/sky.cjs")}' "$@"\n`,
      { mode: 0o755 },
    );
    const { accessKeyId, secretAccessKey } = r2.keys;
    const script = scriptOfPage(readFileSync(join(repoRoot, "docs/r2.md"), "utf8"))
      .replace("aws_access_key_id = …", `aws_access_key_id = ${accessKeyId}`)
      .replace("aws_secret_access_key = …", `aws_secret_access_key = ${secretAccessKey}\nendpoint_url = ${r2.url}`);
    const PATH = `${bin}:${env()["PATH"] ?? process.env["PATH"] ?? ""}`;
    const result = await runProgram(["bash", "-c", script], {
      env: { ...sandbox.env(env()), PATH },
      cwd: sandbox.work,
    });
    expect(plainText(result.stdout + result.stderr)).toContain("Cloudflare: enabled [storage]");
    expect(statSync(join(sandbox.home, ".cloudflare/r2.credentials")).mode & 0o777).toBe(0o600);
  });

  describe("that cannot be used are refused before a node is there", () => {
    const task = (mount: string): string =>
      `resources: {infra: local}\nfile_mounts: {~/data: ${mount}}\nrun: ls ~/data\n`;
    const refusal = (mount: string): ReturnType<typeof sky> => launch("refused", task(mount));

    it.each([
      [
        "r2://nowhere/part",
        "Attempted to use a non-existent bucket as a source: r2://nowhere/part.",
        "aws s3 ls s3://nowhere --profile=r2 --endpoint-url http",
      ],
      ["{source: r2://nowhere}", "Attempted to use a non-existent bucket as a source: r2://nowhere.", "--profile=r2"],
      ["{name: extern, store: r2}", "I.e., replace `name: extern` with `source: r2://extern`.", undefined],
      [
        "{name: UPPER, store: r2, source: ./src}",
        "Invalid store name: name UPPER can consist only of lowercase",
        undefined,
      ],
      [
        "{name: dotted.name, store: r2, source: ./src}",
        "Invalid store name: name dotted.name must not contain dots",
        undefined,
      ],
      [
        "{source: r2://extern, store: s3}",
        "Transfer from r2 to s3 is not yet supported.",
        "Leave out `store:` to use the bucket where it is.",
      ],
      [
        "gs://some",
        "Buckets of 'gs' are not available in this version.",
        "Available are s3:// (`store: s3`), r2:// (`store: r2`)",
      ],
      [
        "{name: some, store: GCS, source: ./src}",
        "Buckets of 'gcs' are not available in this version.",
        "r2:// (`store: r2`)",
      ],
    ])("%s", async (mount, message, hint) => {
      expectRefusal(await refusal(mount), { exitCode: 1, message, ...(hint === undefined ? {} : { hint }) });
      expect((await sky("status")).text).not.toContain("refused");
    });

    it("a bucket that the token is not for, and one that it may not make", async () => {
      r2.buckets = ["other"];
      expectRefusal(await refusal("r2://extern"), {
        exitCode: 1,
        message: "Failed to access existing bucket 'extern'.",
        hint: "The R2 API token may be for other buckets: sky check cloudflare -v",
      });
      r2.buckets = ["may-read"];
      const made = await refusal("{name: may-read, store: r2, source: ./src}");
      expectRefusal(made, {
        exitCode: 1,
        message: "Attempted to create R2 bucket may-read but failed. Cloudflare R2 refused CreateBucket on may-read.",
        hint: 'making and deleting buckets takes "Admin Read & Write"',
      });
      await sky("down", "-y", "refused");
    });

    it("with keys that R2 does not take, and without any", async () => {
      writeFiles(r2.credentialsFile.replace(r2.keys.accessKeyId, "f00d"));
      expectRefusal(await refusal("r2://extern"), {
        exitCode: 1,
        message: "Cloudflare R2 does not accept the keys of ~/.cloudflare/r2.credentials",
        hint: "AWS_SHARED_CREDENTIALS_FILE=~/.cloudflare/r2.credentials aws configure --profile r2",
      });
      home(".cloudflare/r2.credentials", undefined);
      await sky("check", "cloudflare");
      for (const mount of ["r2://extern", "{name: new, store: R2, source: ./src}"]) {
        expectRefusal(await refusal(mount), {
          exitCode: 1,
          message:
            'Storage "store: r2" specified, but Cloudflare access is disabled. To fix, enable Cloudflare by running `sky check`.',
          hint: "sky check cloudflare",
        });
      }
    });
  });
});
