import { createHash, type Hash } from "node:crypto";
import {
  createReadStream,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import type { ZipSource } from "../platform/zip.ts";
import { MissingFileError } from "../shared/errors.ts";
import { enterDirectory, isIgnored, type IgnoreStack } from "../shared/ignore/ignore.ts";
import { findRootRules, isNoFile, type RootRules } from "../shared/ignore/root-rules.ts";

/** Lists what is uploaded for a set of absolute local paths, sorted by name and without repetition. */
export function listUpload(paths: readonly string[]): readonly ZipSource[] {
  const found = new Map<string, ZipSource>();
  for (const path of paths) {
    // The path itself may be a link: its contents are meant.
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      throw new MissingFileError(`'${path}' does not exist locally.`, { hint: "check the path in the task" });
    }
    if (stat.isDirectory()) listDirectory(path, found);
    else found.set(nameOf(path), fileSource(path, stat));
  }
  // Python compares by code point; so does a comparison of UTF-8 bytes.
  return [...found.values()].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

function nameOf(path: string): string {
  return path.replace(/^\/+/, "");
}

function fileSource(path: string, stat: Stats): ZipSource {
  return { kind: "file", name: nameOf(path), path, mode: stat.mode, modifiedMs: stat.mtimeMs, size: stat.size };
}

function listDirectory(root: string, found: Map<string, ZipSource>): void {
  const { fileName, stack } = readRootRules(root);
  visit({ root, fileName, found }, "", stack);
}

function readRootRules(root: string): RootRules {
  const search = findRootRules(realpathSync(root), "/");
  let step = search.next();
  while (step.done !== true) step = search.next(readIfFile(step.value.path, step.value.isProbe));
  return step.value;
}

interface Walk {
  readonly root: string;
  readonly fileName: RootRules["fileName"];
  readonly found: Map<string, ZipSource>;
}

function visit(walk: Walk, directory: string, outer: IgnoreStack): void {
  const path = directory === "" ? walk.root : join(walk.root, directory);
  const stack = enterDirectory(outer, directory, readIfFile(join(path, walk.fileName)));
  const stat = statSync(path);
  const name = `${nameOf(path)}/`;
  walk.found.set(name, { kind: "directory", name, mode: stat.mode, modifiedMs: stat.mtimeMs });
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = directory === "" ? entry.name : `${directory}/${entry.name}`;
    if (isIgnored(stack, inner, entry.isDirectory())) continue;
    const full = join(path, entry.name);
    if (entry.isDirectory()) visit(walk, inner, stack);
    else if (entry.isSymbolicLink()) {
      const source = { kind: "link", name: nameOf(full), target: readlinkSync(full) } as const;
      walk.found.set(source.name, { ...source, modifiedMs: lstatSync(full).mtimeMs });
    } else if (entry.isFile()) walk.found.set(nameOf(full), fileSource(full, lstatSync(full)));
    // Sockets, pipes and devices have no content to send.
  }
}

function readIfFile(path: string, isProbe = false): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isNoFile(error, isProbe)) return undefined;
    throw error;
  }
}

/** The id of an upload: a hash over names and contents, the same whatever the archive looks like. */
export async function hashUpload(
  sources: readonly ZipSource[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const total = createHash("sha256");
  for (const source of sources) {
    options.signal?.throwIfAborted();
    total.update(source.name);
    total.update(await hashContent(source));
  }
  return total.digest("hex");
}

async function hashContent(source: ZipSource): Promise<Buffer> {
  const hash: Hash = createHash("sha256");
  if (source.kind === "link") hash.update(source.target);
  if (source.kind === "file") {
    for await (const chunk of createReadStream(source.path, { highWaterMark: 256 * 1024 }))
      hash.update(chunk as Buffer);
  }
  return hash.digest();
}
