import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { SentPart } from "./sent-part.ts";

const CONTENT = "123456789";
/** The well-known one of these nine digits. */
const CRC32 = Buffer.from("cbf43926", "hex").toString("base64");
const MD5 = `"${createHash("md5").update(CONTENT).digest("hex")}"`;
/** As KMS makes the store name it. */
const OTHER = `"${"0".repeat(32)}"`;

test.each([
  ["its MD5", { ETag: MD5 }, true],
  ["another sum, as with a key of KMS", { ETag: OTHER }, false],
  ["nothing", {}, false],
  ["its CRC-32, whatever it is called", { ETag: OTHER, ChecksumCRC32: CRC32 }, true],
  ["another CRC-32, whatever it is called", { ETag: MD5, ChecksumCRC32: "AAAAAA==" }, false],
])("of a part the server says %s", (_title, part, isSame) => {
  const sent = new SentPart(part);
  sent.add(Buffer.from(CONTENT.slice(0, 4)));
  sent.add(Buffer.from(CONTENT.slice(4)));
  expect(sent.isSame()).toBe(isSame);
});
