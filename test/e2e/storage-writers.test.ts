import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { GetObjectCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { BucketRig } from "../support/s3/bucket-rig.ts";

const MIB = 1024 * 1024;
const SMALL_FILES = 40;
const WRITERS = ["a", "b", "c"];

describe.skipIf(findMoto() === undefined)("several launches at once that use one bucket", () => {
  let rig: BucketRig;

  beforeAll(async () => {
    rig = await BucketRig.create();
  });

  afterAll(async () => {
    await rig?.sky("down", "-y", "-a");
    await rig?.dispose();
  });

  it("make it once and fill it; of what several write, one version is there, whole", { timeout: 180_000 }, async () => {
    const sums = new Set<string>();
    for (const writer of WRITERS) {
      for (let n = 0; n < SMALL_FILES; n += 1) rig.sandbox.write(`${writer}/${writer}/${n}`, `${writer}${n}\n`);
      rig.sandbox.write(`${writer}/small`, `${writer}\n`);
      // In parts.
      const large = randomBytes(20 * MIB);
      writeFileSync(rig.sandbox.write(`${writer}/large`, ""), large);
      sums.add(createHash("sha256").update(large).digest("hex"));
    }
    const launches = WRITERS.map((writer) =>
      rig.launch(
        writer,
        `file_mounts: {~/d: {name: many-writers, source: ./${writer}, mode: COPY}}\nrun: ls ~/d/${writer} | wc -l`,
      ),
    );
    for (const { exitCode, text } of await Promise.all(launches)) {
      // Each of the others may replace an object while it is copied; a launch repeats that once.
      if (exitCode === 1 && text.includes("was replaced while it was copied")) continue;
      expect(exitCode, text).toBe(0);
      expect(text).toMatch(new RegExp(`\\) ${SMALL_FILES}$`, "mu"));
    }
    const keys = WRITERS.flatMap((writer) => Array.from({ length: SMALL_FILES }, (_, n) => `${writer}/${n}`));
    expect(await rig.keysOf("many-writers")).toEqual([...keys, "large", "small"].sort());
    expect(WRITERS.map((writer) => `${writer}\n`)).toContain(await rig.textOf("many-writers", "small"));
    const { Body } = await rig.s3.send(new GetObjectCommand({ Bucket: "many-writers", Key: "large" }));
    const whole = (await Body?.transformToByteArray()) ?? new Uint8Array();
    expect(sums).toContain(createHash("sha256").update(whole).digest("hex"));
    expect((await rig.s3.send(new ListMultipartUploadsCommand({ Bucket: "many-writers" }))).Uploads ?? []).toEqual([]);
    const listed = JSON.parse((await rig.sky("storage", "ls", "-o", "json")).stdout) as readonly object[];
    expect(listed).toHaveLength(1);
    expect(listed[0]).toMatchObject({ name: "many-writers", status: "READY" });
  });

  it(
    "a bucket is deleted while another launch fills it: each ends, and nothing is there that is not listed",
    { timeout: 180_000 },
    async () => {
      const fill = rig.launch("a", "file_mounts: {~/e: {name: many-writers, source: ./a, mode: COPY}}");
      const [filled, deleted] = await Promise.all([fill, rig.sky("storage", "delete", "-y", "many-writers")]);
      expect([0, 1]).toContain(filled.exitCode);
      expect(filled.text + deleted.text).not.toContain("This is a bug");
      const listed = (await rig.sky("storage", "ls", "-o", "json")).stdout;
      if ((await rig.buckets()).includes("many-writers")) expect(listed).toContain("many-writers");
      await rig.sky("storage", "delete", "-y", "many-*");
      expect(await rig.buckets()).toEqual([]);
    },
  );
});
