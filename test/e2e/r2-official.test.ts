import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Moto } from "../support/aws/moto.ts";
import { R2Front } from "../support/s3/r2-front.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";

/** What the original's check says, with the files of the HOME that it runs in. */
const ORIGINAL_REASON = "from sky.adaptors import cloudflare; print(cloudflare.check_storage_credentials()[1])";
/** Ours needs no Python. */
const NOT_NEEDED = "      $ pip install boto3\n";

describeWithReference("Cloudflare R2 and the original", (reference) => {
  let moto: Moto;
  let r2: R2Front;
  let sandbox: Sandbox;
  let client: OfficialClient;

  beforeAll(async () => {
    [moto, sandbox] = await Promise.all([Moto.start(), Sandbox.create()]);
    r2 = await R2Front.start(moto.url);
    client = new OfficialClient(sandbox, reference, { remote: false });
    mkdirSync(join(sandbox.home, ".cloudflare"));
    await sandbox.startServer({ AWS_EC2_METADATA_DISABLED: "true" });
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await r2?.close();
    moto?.stop();
  });

  function setUp(files: Readonly<Record<string, string>>): void {
    for (const name of ["r2.credentials", "accountid"]) {
      const path = join(sandbox.home, ".cloudflare", name);
      if (files[name] === undefined) rmSync(path, { force: true });
      else writeFileSync(path, files[name], { mode: 0o600 });
    }
  }

  async function official(...args: readonly string[]): Promise<string> {
    const result = await client.sky(args);
    expect(result.exitCode, result.stderr).toBe(0);
    return plainText(result.stdout + result.stderr);
  }

  it.each([
    ["nothing", {}],
    ["the account alone", { accountid: "0123456789abcdef0123456789abcdef\n" }],
    ["the keys alone", { "r2.credentials": "[r2]\naws_access_key_id = a\naws_secret_access_key = b\n" }],
    ["keys of another profile", { "r2.credentials": "[default]\naws_access_key_id = a\naws_secret_access_key = b\n" }],
  ])("the check has the original's reason with %s", async (_name, files) => {
    setUp(files);
    const original = await client.python(ORIGINAL_REASON);
    expect(original.exitCode, original.stderr).toBe(0);
    const reason = original.stdout.replace(NOT_NEEDED, "").trim();
    expect(reason).toContain("Run the following commands:");
    const ours = plainText((await sandbox.sky(["check", "cloudflare"])).stdout);
    expect(ours).toContain(`  Cloudflare: disabled\n    Reason [storage]: ${reason}\n`);
  });

  it("the official client checks, lists and deletes", async () => {
    setUp({ "r2.credentials": r2.credentialsFile, accountid: r2.accountId });
    expect(await official("check", "cloudflare")).toContain("  Cloudflare: enabled [storage]\n");
    sandbox.write("src/a.txt", "one\n");
    const mount = `{name: my-bucket, source: ${sandbox.work}/src, store: r2, mode: COPY}`;
    sandbox.write(
      "task.yaml",
      `resources: {infra: ssh/local}\nfile_mounts: {~/data: ${mount}}\nrun: cat ~/data/a.txt\n`,
    );
    const launched = await official("launch", "-y", "-c", "c", "task.yaml");
    expect(launched).toContain("Created R2 bucket 'my-bucket' in auto");
    expect(launched).toContain(") one\n");
    const [row] = parseTable(await official("storage", "ls"), "NAME");
    expect([row?.["NAME"], row?.["STORE"], row?.["STATUS"]]).toEqual(["my-bucket", "R2", "READY"]);
    const listed = await client.python("import sky; print(sky.get(sky.storage_ls())[0].store)");
    expect(listed.stdout).toContain("R2");
    // It takes each enabled cloud for a place that runs tasks.
    const enabled = await client.python("from sky.client import sdk; print(sdk.get(sdk.enabled_clouds()))");
    expect(enabled.exitCode, enabled.stderr).toBe(0);
    expect(await official("storage", "delete", "-y", "my-bucket")).toContain("Deleted R2 bucket my-bucket.");
  });
});
