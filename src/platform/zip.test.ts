import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { unzip } from "./unzip.ts";
import { writeZip, type ZipSource } from "./zip.ts";
import { centralHeader, endRecords, localHeader } from "./zip-format.ts";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "sky-zip-"));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function fileSource(name: string, content: Uint8Array): ZipSource {
  const path = join(dir, `source-${name.replaceAll("/", "_")}`);
  writeFileSync(path, content);
  chmodSync(path, 0o750);
  return { kind: "file", name, path, mode: statSync(path).mode, modifiedMs: 1_700_000_000_000, size: content.length };
}

describe("zip", () => {
  test("gives back files, modes, links and empty directories", async () => {
    const archive = join(dir, "a.zip");
    const sources: ZipSource[] = [
      { kind: "directory", name: "d/", mode: 0o755, modifiedMs: 0 },
      { kind: "directory", name: "d/empty/", mode: 0o700, modifiedMs: 0 },
      fileSource("d/ü.txt", Buffer.from("hello ".repeat(1000))),
      fileSource("d/none", Buffer.alloc(0)),
      { kind: "link", name: "d/link", target: "ü.txt", modifiedMs: 0 },
    ];
    const { size } = await writeZip(archive, sources);
    expect(size).toBe(statSync(archive).size);
    const target = join(dir, "out");
    await unzip(archive, target, { place: (name) => name });
    expect(readFileSync(join(target, "d/ü.txt"), "utf8")).toBe("hello ".repeat(1000));
    expect(statSync(join(target, "d/ü.txt")).mode & 0o777).toBe(0o750);
    expect(statSync(join(target, "d/none")).size).toBe(0);
    expect(statSync(join(target, "d/empty")).isDirectory()).toBe(true);
    expect(readlinkSync(join(target, "d/link"))).toBe("ü.txt");
  });

  test("any content survives, and Python's zipfile finds no fault", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), async (contents) => {
        run += 1;
        const archive = join(dir, `p${run}.zip`);
        await writeZip(
          archive,
          contents.map((content, index) => fileSource(`f${index}`, content)),
        );
        const target = join(dir, `t${run}`);
        await unzip(archive, target, { place: (name) => name });
        for (const [index, content] of contents.entries()) {
          expect(readFileSync(join(target, `f${index}`)).equals(Buffer.from(content))).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });

  test.skipIf(!existsSync("/usr/bin/python3"))("is read by Python", async () => {
    const archive = join(dir, "py.zip");
    await writeZip(archive, [
      fileSource("x", Buffer.from("abc")),
      { kind: "link", name: "l", target: "x", modifiedMs: 0 },
    ]);
    const script =
      "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); print(z.testzip(), z.namelist(), z.getinfo('l').external_attr>>28)";
    expect(execFileSync("/usr/bin/python3", ["-c", script, archive]).toString()).toBe("None ['x', 'l'] 10\n");
  });

  test("an entry or a link that leads out of the folder is refused", async () => {
    const evil = join(dir, "evil.zip");
    await writeZip(evil, [fileSource("../evil", Buffer.from("x"))]);
    await expect(unzip(evil, join(dir, "out"), { place: (name) => name })).rejects.toThrow("leads out of the folder");
    const link = join(dir, "link.zip");
    await writeZip(link, [{ kind: "link", name: "l", target: "../../etc", modifiedMs: 0 }]);
    await expect(unzip(link, join(dir, "out"), { place: (name) => name })).rejects.toThrow("leads out of the folder");
    writeFileSync(join(dir, "cut.zip"), readFileSync(evil).subarray(0, 40));
    await expect(unzip(join(dir, "cut.zip"), dir, { place: (name) => name })).rejects.toThrow("is damaged");
  });

  test("numbers beyond 32 bits go into ZIP64 fields", () => {
    const record = {
      name: "big",
      method: "deflated",
      mode: 0o100644,
      modifiedMs: 0,
      crc: 1,
      compressedSize: 5_000_000_000,
      size: 6_000_000_000,
      offset: 7_000_000_000,
    } as const;
    const local = localHeader(record, true);
    expect(local.readUInt32LE(18)).toBe(0xffff_ffff);
    expect(local.readBigUInt64LE(30 + 3 + 4)).toBe(6_000_000_000n);
    const central = centralHeader(record);
    expect(central.readBigUInt64LE(46 + 3 + 4 + 16)).toBe(7_000_000_000n);
    expect(endRecords(70_000, 100, 200).subarray(0, 4).toString("latin1")).toBe("PK\u0006\u0006");
    expect(endRecords(3, 100, 200)).toHaveLength(22);
  });
});
