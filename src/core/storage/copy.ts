import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { FetchFile, FetchParams } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { AgentError } from "../../shared/errors.ts";
import { spinner } from "../clusters/messages.ts";
import type { OperationContext } from "../operation.ts";
import type { StoredObject } from "../ports/object-store.ts";
import type { BucketMount, WebMount } from "./mounts.ts";
import { reading } from "./failed.ts";
import { openFor } from "./public-buckets.ts";

/** Objects that the nodes are told of at a time: their URLs make some 500 KB. */
const BATCH = 500;
/** How long the nodes have for a batch; the URLs of credentials that end earlier end with them. */
const EXPIRES_SECONDS = 6 * 3600;
/** Longer than nodes try in vain. */
const LONG_MS = 10 * 60_000;
const PARTS = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\0]+(?:\/[^/\0]+)*$/u;

export interface CopyTarget {
  readonly agent: AgentPeer;
  readonly log: { write(line: string): void };
}

export interface CopySummary {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Brings a bucket's content, or one object, to every node. The nodes get URLs that read just these objects for a while, and no
 * credentials. May be repeated.
 */
export function copyBucket(
  mount: BucketMount,
  region: string,
  target: CopyTarget,
  context: OperationContext,
): Promise<CopySummary> {
  return repeated(() => copyObjects(mount, region, target, context), context.clock);
}

async function copyObjects(
  mount: BucketMount,
  region: string,
  target: CopyTarget,
  context: OperationContext,
): Promise<CopySummary> {
  const { store, as } = await openFor(mount, context);
  const place = { bucket: mount.bucket, region, prefix: mount.prefix };
  const read = { uri: mount.uri, cloud: store.cloud };
  const objects = await reading(read, context.signal, () => collect(store.list(place, as)));
  const single = objects.find((object) => object.key === mount.prefix);
  const wanted = single === undefined ? objects.filter((object) => isFile(object, mount)) : [single];
  if (single === undefined) tellLeftOut(objects, { mount, target, context });
  if (wanted.length === 0) context.log.line(`  There is nothing at ${mount.uri} yet: ${mount.dest} stays empty.`);
  const summary = { files: 0, bytes: 0 };
  const totalBytes = bytesOf(wanted);
  const sign = async (start: number): Promise<readonly FetchFile[]> => {
    const batch = wanted.slice(start, start + BATCH);
    const keys = batch.map((object) => object.key);
    const urls = await reading(read, context.signal, () =>
      store.signReads(place, keys, { expiresSeconds: EXPIRES_SECONDS, context: as }),
    );
    return batch.map((object, index) => toFetchFile(object, urls[index] ?? "", mount));
  };
  let next = sign(0);
  for (let start = 0; start === 0 || start < wanted.length; start += BATCH) {
    const batch = wanted.slice(start, start + BATCH);
    const files = await next;
    // While the nodes fetch these.
    next = start + BATCH < wanted.length ? sign(start + BATCH) : Promise.resolve([]);
    // Its failure is met when it is waited for.
    next.catch(() => undefined);
    summary.files += batch.length;
    summary.bytes += bytesOf(batch);
    await fetchOnNodes({ dest: mount.dest, files, restBytes: totalBytes - summary.bytes }, target, context);
    context.log.spin(spinner(`Syncing ${mount.uri}: ${summary.files}/${wanted.length} files`));
  }
  target.log.write(`${mount.uri} -> ${mount.dest}: ${summary.files} files, ${summary.bytes} bytes.`);
  return summary;
}

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Brings a file of the web to every node. */
export async function copyWebFile(mount: WebMount, target: CopyTarget, context: OperationContext): Promise<void> {
  await fetchOnNodes({ dest: mount.dest, files: [{ path: "", url: mount.uri }] }, target, context);
  target.log.write(`${mount.uri} -> ${mount.dest}`);
}

async function fetchOnNodes(
  what: Omit<FetchParams, "key">,
  { agent }: CopyTarget,
  context: OperationContext,
): Promise<void> {
  await agent.call("fetch", { key: context.requestId, ...what }, { signal: context.signal });
}

function bytesOf(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, object) => sum + object.size, 0);
}

/**
 * Credentials may have been renewed, or an object replaced, since the URLs were made. What has arrived is not sent again. One repetition
 * has to do, unless the attempt went on for long: sessions end by the hour, and copies may take days.
 */
async function repeated<T>(work: () => Promise<T>, clock: Clock): Promise<T> {
  for (let hasRepeated = false; ; hasRepeated = true) {
    const startedMs = clock.now();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (hasRepeated && clock.now() - startedMs < LONG_MS) throw error;
    }
  }
}

/** Folders that some tools make are no files. */
function isFolder({ key }: StoredObject): boolean {
  return key.endsWith("/");
}

/** A key that is no path on a disk cannot be placed. */
function isFile(object: StoredObject, mount: BucketMount): boolean {
  return !isFolder(object) && PARTS.test(pathBelow(object.key, mount));
}

function tellLeftOut(
  objects: readonly StoredObject[],
  {
    mount,
    target,
    context,
  }: { readonly mount: BucketMount; readonly target: CopyTarget; readonly context: OperationContext },
): void {
  const left = objects.filter((object) => !isFolder(object) && !isFile(object, mount));
  const [first] = left;
  if (first === undefined) return;
  for (const { key } of left) target.log.write(`Left out ${JSON.stringify(key)}: it cannot be the name of a file.`);
  const many = left.length === 1 ? "an object whose key" : `${left.length} objects whose keys`;
  context.log.line(
    `  Left out ${many} cannot be the name of a file: ${JSON.stringify(first.key)}${left.length > 1 ? ", …" : ""}`,
  );
}

function pathBelow(key: string, mount: BucketMount): string {
  if (key === mount.prefix) return "";
  return mount.prefix === "" ? key : key.slice(mount.prefix.length + 1);
}

function toFetchFile(object: StoredObject, url: string, mount: BucketMount): FetchFile {
  const { size, modifiedMs: mtimeMs, etag } = object;
  return { path: pathBelow(object.key, mount), url, size, mtimeMs, ...(etag === "" ? {} : { etag }) };
}
