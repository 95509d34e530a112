import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from "vitest";
import type { MounterPin } from "../../shared/agent/mounts.ts";
import { findMounter } from "./mounter.ts";
import { unzipFile } from "./unzip.ts";

const PROGRAM = "#!/bin/sh\necho 'rclone v1.75.1'\n";

/** A zip archive with a folder, a stored and a deflated file, as `zip` writes it. */
function zip(files: Readonly<Record<string, { readonly text: string; readonly isDeflated: boolean }>>): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [name, { text, isDeflated }] of Object.entries(files)) {
    const raw = Buffer.from(text);
    const body = isDeflated ? deflateRawSync(raw) : raw;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(isDeflated ? 8 : 0, 4);
    common.writeUInt32LE(crc32(raw), 10);
    common.writeUInt32LE(body.length, 14);
    common.writeUInt32LE(raw.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\u0003\u0004", "latin1"), common, Buffer.from(name), body]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from("PK\u0001\u0002\u0014\u0000", "latin1"), common, tail, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

const archive = zip({
  "rclone-1/": { text: "", isDeflated: false },
  "rclone-1/README.txt": { text: "read me\n".repeat(100), isDeflated: true },
  "rclone-1/rclone": { text: PROGRAM, isDeflated: true },
});

describe("the program that mounts", () => {
  let server: Server;
  let url: string;
  let folder: string;
  let asked = 0;
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = createServer((_request, response) => {
      asked += 1;
      response.end(archive);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rclone.zip`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    asked = 0;
    folder = mkdtempSync(join(tmpdir(), "mounter-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const pin = (changes: Partial<MounterPin> = {}): MounterPin => ({
    arch: process.arch,
    version: "v1.75.1",
    url,
    sha256: createHash("sha256").update(archive).digest("hex"),
    program: "rclone-1/rclone",
    ...changes,
  });
  const find = (
    pins: readonly MounterPin[],
    { installed, acceptsOld = false }: { readonly installed?: string; readonly acceptsOld?: boolean } = {},
  ): ReturnType<typeof findMounter> => {
    const places = { env: { PATH: "/usr/bin:/bin" }, folder, broughtFolder: folder };
    return findMounter({ ...places, pins, acceptsOld, find: () => installed, signal });
  };

  it("is fetched once, checked, and kept", async () => {
    const mounter = await find([pin()]);
    expect(mounter.version).toEqual([1, 75]);
    expect(await find([pin()])).toEqual(mounter);
    expect(asked).toBe(1);
    expect(readdirSync(folder)).toEqual([`rclone-${pin().sha256.slice(0, 16)}`]);
  });

  it("is the machine's own when that is new enough", async () => {
    const own = join(folder, "own");
    const install = (version: string): void =>
      writeFileSync(own, `#!/bin/sh\necho 'rclone ${version}'\n`, { mode: 0o755 });
    install("v1.76.0");
    expect(await find([pin()], { installed: own })).toEqual({ path: own, version: [1, 76] });
    install("v1.60.1-DEV");
    const gone = { ...pin(), url: "http://127.0.0.1:1/rclone.zip" };
    await expect(find([gone], { installed: own })).rejects.toMatchObject({
      agentCode: "MOUNTER_MISSING",
      message: expect.stringMatching(
        /^The node has rclone v1\.60, and the newer v1\.75\.1 could not be had: it cannot be fetched: .*127\.0\.0\.1:1\.$/u,
      ) as unknown,
    });
    expect(await find([gone], { installed: own, acceptsOld: true })).toEqual({ path: own, version: [1, 60] });
    expect(asked).toBe(0);
    expect((await find([pin()], { installed: own, acceptsOld: true })).version).toEqual([1, 75]);
    expect(asked).toBe(1);
    install("v1.53.3");
    rmSync(join(folder, `rclone-${pin().sha256.slice(0, 16)}`));
    await expect(find([gone], { installed: own, acceptsOld: true })).rejects.toMatchObject({
      agentCode: "MOUNTER_MISSING",
      message: expect.stringMatching(
        /^The node has no rclone, which mounting needs: it cannot be fetched: /u,
      ) as unknown,
    });
  });

  it.each([
    ["another archive", pin, { sha256: "0".repeat(64) }, "is not rclone v1.75.1: its SHA-256 is"],
    ["an archive without the program", pin, { program: "rclone-2/rclone" }, "has no rclone-2/rclone"],
    ["a place that does not answer", pin, { url: "http://127.0.0.1:1/rclone.zip" }, "it cannot be fetched"],
    ["another kind of CPU", pin, { arch: "mips" }, `there is none for ${process.arch}`],
  ])("%s is refused, and nothing is left", async (_name, make, changes, message) => {
    await expect(find([make(changes)])).rejects.toMatchObject({
      agentCode: "MOUNTER_MISSING",
      message: expect.stringContaining(message) as unknown,
      hint: expect.stringContaining("apt-get install rclone") as unknown,
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("reads archives alone", async () => {
    expect((await unzipFile(archive, "rclone-1/README.txt"))?.toString()).toBe("read me\n".repeat(100));
    expect((await unzipFile(Buffer.concat([archive]), "rclone-1/"))?.length).toBe(0);
    expect(await unzipFile(Buffer.from("no archive"), "x")).toBeUndefined();
  });
});
