import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { InvalidValueError } from "../../shared/errors.ts";
import { safePath, unzip } from "./unzip.ts";
import { writeZip } from "./zip-writer.ts";
import { makeZip, type TestEntry } from "../../../test/fakes/make-zip.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zip-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function extract(entries: readonly TestEntry[], maxBytes = 1_000_000): Promise<string> {
  return extractBytes(makeZip(entries), maxBytes);
}

async function extractBytes(bytes: Uint8Array, maxBytes = 1_000_000): Promise<string> {
  const archive = join(directory, "a.zip");
  const target = join(directory, "out");
  writeFileSync(archive, bytes);
  await unzip(archive, target, { maxBytes });
  return target;
}

test("files, empty directories, links and permissions arrive", async () => {
  const out = await extract([
    { name: "home/a.sh", content: "echo hi", mode: 0o100755 },
    { name: "home/empty/", content: "", mode: 0o40755 },
    { name: "home/deep/er/b", content: "x".repeat(100_000), mode: 0o100600 },
    { name: "home/none", content: "" },
    { name: "home/link", content: "deep/er/b", mode: 0o120777 },
    { name: "home/dangling", content: "later", mode: 0o120777 },
  ]);
  expect(readFileSync(join(out, "home/a.sh"), "utf8")).toBe("echo hi");
  expect(statSync(join(out, "home/a.sh")).mode & 0o777).toBe(0o755);
  expect(statSync(join(out, "home/deep/er/b")).mode & 0o777).toBe(0o600);
  expect(statSync(join(out, "home/empty")).isDirectory()).toBe(true);
  expect(readFileSync(join(out, "home/none"), "utf8")).toBe("");
  expect(readFileSync(join(out, "home/link"), "utf8")).toHaveLength(100_000);
  expect(readlinkSync(join(out, "home/dangling"))).toBe("later");
});

test.each<[string, readonly TestEntry[]]>([
  ["climbs", [{ name: "../evil", content: "x" }]],
  ["climbs in the middle", [{ name: "a/../../evil", content: "x" }]],
  ["is absolute", [{ name: "/tmp/evil", content: "x" }]],
  ["has an empty part", [{ name: "a//b", content: "x" }]],
  ["is a dot", [{ name: "./a", content: "x" }]],
  ["links out", [{ name: "l", content: "../evil", mode: 0o120777 }]],
  ["links to an absolute path", [{ name: "l", content: "/etc", mode: 0o120777 }]],
  ["links to nothing", [{ name: "l", content: "", mode: 0o120777 }]],
  [
    "is there twice",
    [
      { name: "a", content: "1" },
      { name: "a", content: "2" },
    ],
  ],
  [
    "links out by way of another link",
    [
      { name: "d/", content: "", mode: 0o40755 },
      { name: "d/s", content: "..", mode: 0o120777 },
      { name: "e", content: "d/s/..", mode: 0o120777 },
    ],
  ],
])("a name that %s is refused and nothing gets out", async (_what, entries) => {
  await expect(extract(entries)).rejects.toThrow(InvalidValueError);
  expect(existsSync(join(directory, "evil"))).toBe(false);
});

test("a file below a link is written to a directory of its own, or not at all", async () => {
  const outside = join(directory, "outside");
  mkdirSync(outside);
  const entries = [
    { name: "l", content: "../outside", mode: 0o120777 },
    { name: "l/evil", content: "x" },
  ];
  await expect(extract(entries)).rejects.toThrow(InvalidValueError);
  expect(existsSync(join(outside, "evil"))).toBe(false);
});

test("more than allowed, more than declared and a wrong checksum are refused", async () => {
  await expect(extract([{ name: "a", content: "x".repeat(2000) }], 1000)).rejects.toThrow("more than the 1000 allowed");
  await expect(extract([{ name: "b", content: "x".repeat(2000), declaredSize: 10 }])).rejects.toThrow(
    "larger than declared",
  );
  await expect(extract([{ name: "c", content: "x", declaredCrc: 1 }])).rejects.toThrow("damaged");
});

test("what is no zip is refused with a next step", async () => {
  for (const bytes of [
    Buffer.from("no zip"),
    Buffer.alloc(0),
    makeZip([{ name: "a", content: "x" }]).subarray(0, 40),
  ]) {
    const error = await extractBytes(bytes).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(InvalidValueError);
    expect((error as InvalidValueError).hint).toContain("Repeat");
  }
});

test("whatever bytes come, nothing is written outside and nothing but a refusal is thrown", async () => {
  const whole = makeZip([
    { name: "a/b", content: "hello" },
    { name: "l", content: "a", mode: 0o120777 },
  ]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }), async (changes) => {
      const bytes = Buffer.from(whole);
      for (const [position, value] of changes) bytes[position] = value;
      rmSync(join(directory, "out"), { recursive: true, force: true });
      await extractBytes(bytes).catch((error: unknown) => {
        expect(error).toBeInstanceOf(InvalidValueError);
      });
      expect(existsSync(join(directory, "b"))).toBe(false);
    }),
    { numRuns: 150 },
  );
});

test("a safe path stays below its root, whatever the name", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", ".", "/", "\\", "\0", " ") }), (name) => {
      let path: string;
      try {
        path = safePath("/root/dir", name);
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidValueError);
        return;
      }
      expect(path.startsWith("/root/dir/")).toBe(true);
      expect(path.split("/")).not.toContain("..");
    }),
  );
});

test("what the writer packs, the reader unpacks", async () => {
  const source = join(directory, "source");
  mkdirSync(join(source, "sub/empty"), { recursive: true });
  writeFileSync(join(source, "run.log"), "line\n".repeat(50_000));
  writeFileSync(join(source, "sub/ümlaut"), Buffer.from([0, 255, 10]));
  writeFileSync(join(source, "none"), "");
  chmodSync(join(source, "run.log"), 0o640);
  symlinkSync("../run.log", join(source, "sub/link"));
  const parts: Uint8Array[] = [];
  for await (const part of writeZip([{ path: source, name: "top/logs" }])) parts.push(part);
  const bytes = Buffer.concat(parts);
  expect(bytes.length).toBeLessThan(20_000);
  const out = await extractBytes(bytes);
  expect(readFileSync(join(out, "top/logs/run.log"), "utf8")).toBe("line\n".repeat(50_000));
  expect(statSync(join(out, "top/logs/run.log")).mode & 0o777).toBe(0o640);
  expect([...readFileSync(join(out, "top/logs/sub/ümlaut"))]).toEqual([0, 255, 10]);
  expect(readFileSync(join(out, "top/logs/none"), "utf8")).toBe("");
  expect(readlinkSync(join(out, "top/logs/sub/link"))).toBe("../run.log");
  expect(statSync(join(out, "top/logs/sub/empty")).isDirectory()).toBe(true);
});

test("a folder that vanishes while it is packed is an error, not half a zip", async () => {
  const zip = writeZip([{ path: join(directory, "none"), name: "none" }]);
  await expect(zip.next()).rejects.toThrow("ENOENT");
});
