import { readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { AbortMultipartUploadCommand, CreateMultipartUploadCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CUT, CutUpload, PART_BYTES, PARTS } from "../support/s3/cut-upload.ts";
import type { S3Server } from "./object-store.contract.ts";

/** How many parts are sent before the connection breaks. */
const SENT = 2;

/**
 * What holds of uploads that are cut off, with every server; registers the test of the surrounding `describe`. `listsByOne`: parts are
 * listed in pages of one, with a server that counts them as S3 does.
 */
export function cutUploadContract(
  start: () => S3Server,
  { listsByOne = false }: { readonly listsByOne?: boolean } = {},
): void {
  test("an upload in parts goes on where it was cut off, and leaves those of others alone", async () => {
    const upload = await CutUpload.begin(start());
    upload.proxy.listsByOne = listsByOne;
    const { UploadId: others = "" } = await upload.direct.send(new CreateMultipartUploadCommand(CUT));
    expect(await upload.cutAfter(SENT)).toHaveLength(SENT);
    expect(await upload.unfinished()).toHaveLength(2);
    expect(upload.remembered()).toEqual([0o600]);
    expect(await upload.send()).toMatchObject({ files: 1, unchangedFiles: 0 });
    expect(upload.proxy.parts).toHaveLength(PARTS - SENT);
    expect(await upload.isWhole()).toBe(true);
    expect(await upload.unfinished()).toEqual([others]);
    expect(upload.remembered()).toEqual([]);
    expect(await upload.send()).toMatchObject({ unchangedFiles: 1 });
    await upload.direct.send(new AbortMultipartUploadCommand({ ...CUT, UploadId: others }));
    await upload.end();
  });
}

/** What else may have happened meanwhile; on any one server. */
export function cutUploadCases(start: () => S3Server): void {
  describe("an upload that was cut off", () => {
    registerCases(start);
  });
}

function registerCases(start: () => S3Server): void {
  let upload: CutUpload;

  beforeEach(async () => {
    upload = await CutUpload.begin(start());
  });

  afterEach(() => upload.end());

  async function expectWhole(parts: number): Promise<void> {
    expect(upload.proxy.parts).toHaveLength(parts);
    expect(await upload.isWhole()).toBe(true);
    expect(await upload.unfinished()).toEqual([]);
    expect(upload.remembered()).toEqual([]);
  }

  function change(part: number, { keepsTimes }: { readonly keepsTimes: boolean }): void {
    const { atime, mtime } = statSync(upload.path);
    const content = readFileSync(upload.path);
    const at = (part - 1) * PART_BYTES;
    content[at] = (content[at] ?? 0) ^ 1;
    writeFileSync(upload.path, content);
    utimesSync(upload.path, atime, keepsTimes ? mtime : new Date(mtime.getTime() + 2000));
  }

  test("of a file that changed behind its times, the parts that differ are sent again", async () => {
    const [sent = 0] = await upload.cutAfter(PARTS - 1);
    change(sent, { keepsTimes: true });
    await upload.send();
    await expectWhole(2);
  });

  test("of a file that changed nothing is taken for sent", async () => {
    await upload.cutAfter(SENT);
    change(1, { keepsTimes: false });
    await upload.send();
    await expectWhole(PARTS);
  });

  test.each(["gone", "not to be listed"])("an upload that is %s is begun anew", async (what) => {
    await upload.cutAfter(SENT);
    const [UploadId] = await upload.unfinished();
    if (what === "gone") await upload.direct.send(new AbortMultipartUploadCommand({ ...CUT, UploadId }));
    else upload.proxy.refuses = (call) => /^GET .*uploadId=/u.test(call);
    await upload.send();
    await expectWhole(PARTS);
  });

  test("one that is refused or cancelled is taken back", async () => {
    upload.proxy.refuses = (call) => /^PUT .*partNumber=4/u.test(call);
    await expect(upload.send()).rejects.toThrow("refused");
    expect([await upload.unfinished(), upload.remembered()]).toEqual([[], []]);
    upload.proxy.refuses = () => false;
    const cancel = new AbortController();
    upload.proxy.onPart = () => cancel.abort(new Error("cancelled"));
    await expect(upload.send(upload.store(), cancel.signal)).rejects.toThrow();
    expect([await upload.unfinished(), upload.remembered()]).toEqual([[], []]);
  });

  test("two at once do not share one", async () => {
    await upload.cutAfter(SENT);
    const store = upload.store();
    await Promise.all([upload.send(store), upload.send(store)]);
    await expectWhole(PARTS + PARTS - SENT);
  });
}
