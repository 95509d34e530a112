import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { FetchFile, FetchParams } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { AgentError, StorageBucketGetError } from "../../shared/errors.ts";
import { spinner } from "../clusters/messages.ts";
import type { OperationContext } from "../operation.ts";
import type { StoredObject, StoreType } from "../ports/object-store.ts";
import type { BucketMount, WebMount } from "./mounts.ts";
import { CopyList, pathBelow, type LeftOutReason } from "./copy-list.ts";
import { reading } from "./failed.ts";
import { openFor } from "./public-buckets.ts";
import { keepOutOfMounts, type StandingMounts } from "./standing-mounts.ts";

/** Under way at a time: while the last files of one arrive on the slowest node, the others have work. */
const PARALLEL_BATCHES = 2;
/** How long the nodes have for a batch; the URLs of credentials that end earlier end with them. */
const EXPIRES_SECONDS = 6 * 3600;
/** Longer than nodes try in vain. */
const LONG_MS = 10 * 60_000;

/** What may be missing where a bucket may be listed, and one of its objects not read. */
const REFUSED_OBJECT: Readonly<Record<StoreType, string>> = {
  S3: "The bucket may be listed, and this object not read: s3:GetObject is missing, or kms:Decrypt where a key of your own encrypts it, or it is archived (Glacier) and has to be restored first. See: sky check aws --permissions --from task.yaml",
  R2: "Does the R2 API token still hold? sky check cloudflare -v",
};

export interface CopyTarget {
  readonly agent: AgentPeer;
  readonly log: { write(line: string): void };
  readonly standing: StandingMounts;
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
  const copying = repeated(() => copyObjects(mount, region, target, context), context.clock);
  return explained(mount, REFUSED_OBJECT[mount.store], copying);
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
  const list = new CopyList(mount);
  const leftOut = new LeftOut(target, context);
  const admits = keepOutOfMounts(mount.dest, target.standing);
  const summary = { files: 0, bytes: 0 };
  await together(context.signal, (signal) => {
    const from = { ...as, signal };
    const copySome = async (): Promise<void> => {
      for (let batch = await list.next(); batch !== undefined; batch = await list.next()) {
        const { objects, bytes, restBytes } = batch;
        for (const { key } of objects) admits?.({ path: pathBelow(key, mount), kind: "file" });
        const keys = objects.map((object) => object.key);
        const urls = await reading(read, signal, () =>
          store.signReads(place, keys, { expiresSeconds: EXPIRES_SECONDS, context: from }),
        );
        const files = objects.map((object, index) => toFetchFile(object, urls[index] ?? "", mount));
        await fetchOnNodes({ dest: mount.dest, files, restBytes }, { ...target, signal }, context);
        summary.files += objects.length;
        summary.bytes += bytes;
        const total = list.isOver ? `/${list.files}` : "";
        context.log.spin(spinner(`Syncing ${mount.uri}: ${summary.files}${total} files`));
      }
    };
    const options = { signal, onLeftOut: (key: string, reason: LeftOutReason) => leftOut.add(key, reason) };
    const listing = reading(read, signal, () => list.fill(store.list(place, from), options));
    return [listing, ...Array.from({ length: PARALLEL_BATCHES }, copySome)];
  });
  leftOut.tell();
  if (summary.files === 0) {
    context.log.line(`  There is nothing at ${mount.uri} yet: ${mount.dest} stays empty.`);
    await fetchOnNodes({ dest: mount.dest, files: [] }, { ...target, signal: context.signal }, context);
  }
  target.log.write(`${mount.uri} -> ${mount.dest}: ${summary.files} files, ${summary.bytes} bytes.`);
  return summary;
}

/** Does several things at once, which end with the first that fails. Its failure is thrown when the others have ended. */
async function together(signal: AbortSignal, start: (signal: AbortSignal) => readonly Promise<void>[]): Promise<void> {
  const failed = new AbortController();
  const failures: unknown[] = [];
  const works = start(AbortSignal.any([signal, failed.signal])).map((work) =>
    work.catch((error: unknown) => {
      failures.push(error);
      failed.abort(error);
    }),
  );
  await Promise.all(works);
  if (failures.length > 0) throw failures[0];
}

/** Brings a file of the web to every node. */
export async function copyWebFile(mount: WebMount, target: CopyTarget, context: OperationContext): Promise<void> {
  const files = [{ path: "", url: mount.uri }];
  const fetching = fetchOnNodes({ dest: mount.dest, files }, { ...target, signal: context.signal }, context);
  await explained(mount, `It has to answer without a login: curl -I ${mount.shown}`, fetching);
  target.log.write(`${mount.shown} -> ${mount.dest}`);
}

/** Says of what the request was that a server has refused to a node, and what may be missing. */
async function explained<T>(mount: BucketMount | WebMount, hint: string, copying: Promise<T>): Promise<T> {
  try {
    return await copying;
  } catch (error) {
    const isRefused = error instanceof AgentPeerError && error.agentCode === "FETCH_REFUSED";
    if (!isRefused || error.hint !== undefined) throw error;
    const from = mount.kind === "web" ? mount.shown : mount.uri;
    const what = `${from} cannot be copied to ${mount.dest}: ${error.message}`;
    throw new StorageBucketGetError(what, { cause: error, hint });
  }
}

async function fetchOnNodes(
  what: Omit<FetchParams, "key">,
  { agent, signal }: CopyTarget & { readonly signal: AbortSignal },
  { requestId }: OperationContext,
): Promise<void> {
  await agent.call("fetch", { key: requestId, ...what }, { signal });
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

/** Of one object in the log, of one and of several for the user. */
const LEFT_OUT = {
  "no-file-name": {
    it: "it cannot be the name of a file",
    one: "an object whose key cannot be the name of a file",
    many: "objects whose keys cannot be the name of a file",
  },
  "is-folder": {
    it: "it is also the folder of other objects",
    one: "an object whose key is also the folder of others",
    many: "objects whose keys are also the folders of others",
  },
} as const satisfies Record<LeftOutReason, unknown>;

/** Objects that cannot be files: each in the log, a line of all of them and a reason for the user. */
class LeftOut {
  readonly #target: CopyTarget;
  readonly #context: OperationContext;
  readonly #reasons = new Map<LeftOutReason, { readonly first: string; count: number }>();

  constructor(target: CopyTarget, context: OperationContext) {
    this.#target = target;
    this.#context = context;
  }

  add(key: string, reason: LeftOutReason): void {
    const known = this.#reasons.get(reason);
    if (known === undefined) this.#reasons.set(reason, { first: key, count: 1 });
    else known.count += 1;
    this.#target.log.write(`Left out ${JSON.stringify(key)}: ${LEFT_OUT[reason].it}.`);
  }

  tell(): void {
    for (const [reason, { first, count }] of this.#reasons) {
      const { one, many } = LEFT_OUT[reason];
      const [what, more] = count === 1 ? [one, ""] : [`${count} ${many}`, ", …"];
      this.#context.log.line(`  Left out ${what}: ${JSON.stringify(first)}${more}`);
    }
  }
}

function toFetchFile(object: StoredObject, url: string, mount: BucketMount): FetchFile {
  const { size, modifiedMs: mtimeMs, etag } = object;
  return { path: pathBelow(object.key, mount), url, size, mtimeMs, ...(etag === "" ? {} : { etag }) };
}
