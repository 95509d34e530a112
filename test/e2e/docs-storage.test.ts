import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { scriptOfPage } from "../support/doc-script.ts";
import { BucketRig } from "../support/s3/bucket-rig.ts";
import { plainText } from "./support/plain-text.ts";
import { repoRoot } from "./support/sandbox.ts";

describe.skipIf(findMoto() === undefined)("docs/storage.md", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
    const entry = join(repoRoot, "bin/sky.cjs");
    chmodSync(rig.sandbox.write("bin/sky", `#!/bin/sh\nexec "${process.execPath}" "${entry}" "$@"\n`), 0o755);
  });

  afterAll(() => rig?.dispose());

  it("every command does what the page says", { timeout: 120_000 }, async () => {
    const script = scriptOfPage(readFileSync(join(repoRoot, "docs/storage.md"), "utf8"));
    const run = `export PATH="$PWD/bin:$PATH"\n${script}`;
    const env = rig.sandbox.env(rig.env);
    const result = await rig.sandbox.start(["bash", "-c", run], { env, timeoutMs: 110_000 }).result;
    const text = plainText(result.stdout + result.stderr);
    expect(result.exitCode, text).toBe(0);
    expect(text).toContain("AWS: enabled [compute, storage]");
    expect(text).toContain("Created S3 bucket 'my-team-data' in us-east-1");
    expect(text.match(/\) hello$/gmu)).toHaveLength(2);
    expect(text).toMatch(/^my-team-data .* S3 .* READY/mu);
    expect(text).toMatch(/\) now\.txt$/mu);
    expect(text).toContain("Deleted S3 bucket my-team-data.");
    expect(await rig.buckets()).toEqual([]);
  });
});
