import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { updateStorage } from "../../db/queries/storage.ts";
import { StorageUploadError } from "../../shared/errors.ts";
import { spinner } from "../clusters/messages.ts";
import { tellLeftOut } from "../files/left-out.ts";
import { tellLink } from "../files/source-link.ts";
import { unreadable, walkTree } from "../files/walk.ts";
import type { OperationContext } from "../operation.ts";
import type { UploadFile, UploadProgress } from "../ports/object-store.ts";
import { openStore } from "./access.ts";
import { storageFailure } from "./failed.ts";
import { formatBytes } from "../../shared/format-bytes.ts";
import type { BucketMount, LocalSource } from "./mounts.ts";

/** How often the spinner tells how far an upload is. */
const TELL_MS = 500;

export interface UploadTarget {
  readonly mount: BucketMount;
  readonly region: string;
  readonly log: { write(line: string): void };
}

/** Sends what is local of a mount into its bucket. May be repeated: what is there is not sent again. Throws StorageUploadError. */
export async function uploadSources(target: UploadTarget, context: OperationContext): Promise<UploadProgress> {
  const { mount, region, log } = target;
  const files: UploadFile[] = [];
  for (const source of mount.sources) for await (const file of listSource(source, target, context)) files.push(file);
  const { store, as } = await openStore(mount.store, context);
  const place = { bucket: mount.bucket, region, prefix: mount.prefix };
  try {
    const done = await store.upload(place, files, { context: as, onProgress: teller(mount, files, context) });
    log.write(
      `${mount.uri}: ${done.files} files, ${done.bytes} bytes, ${done.unchangedFiles} files were there already.`,
    );
    return done;
  } catch (error) {
    if (mount.name !== undefined) await updateStorage(context.db, mount.name, { status: "UPLOAD_FAILED" });
    throw uploadFailed(mount, error);
  }
}

async function* listSource(
  source: LocalSource,
  { log }: UploadTarget,
  context: OperationContext,
): AsyncGenerator<UploadFile> {
  const root = context.resolveClientPath(source.path);
  const stats = await stat(root).catch((error: unknown) => {
    throw unreadable(source.path, error);
  });
  await tellLink({ shown: `Source path ${source.path}`, path: root }, { log, context });
  if (!stats.isDirectory()) {
    yield { path: root, key: source.key, size: stats.size, mtimeMs: stats.mtimeMs };
    return;
  }
  const onSkipped = tellLeftOut(log, context);
  const { signal, clientFilesTop } = context;
  let hasGit = false;
  for await (const entry of walkTree(root, { ignoreFilesFrom: clientFilesTop, onSkipped, signal })) {
    if (basename(entry.path) === ".git") {
      hasGit ||= entry.kind === "dir";
      log.write(`Left out ${entry.path}.`);
    }
    if (entry.kind === "link") log.write(`Left out ${entry.path}: links are not followed.`);
    if (entry.kind !== "file" || isGit(entry.path)) continue;
    const { size, mtimeMs } = entry;
    const key = source.key === "" ? entry.path : `${source.key}/${entry.path}`;
    yield { path: join(root, entry.path), key, size, mtimeMs };
  }
  if (hasGit) tellGit(source, { log, context });
}

/** Once for a source, however many repositories are in it. */
function tellGit(
  { path }: LocalSource,
  { log, context }: Pick<UploadTarget, "log"> & { readonly context: OperationContext },
): void {
  const text = `'.git' directory under '${path}' is excluded during sync.`;
  log.write(text);
  context.log.line(text);
}

function isGit(path: string): boolean {
  return path.split("/").includes(".git");
}

/** Keeps the spinner up to date: how much, how fast, how long still. */
function teller(
  mount: BucketMount,
  files: readonly UploadFile[],
  context: OperationContext,
): (progress: UploadProgress) => void {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const startedMs = context.clock.now();
  let toldMs = startedMs;
  return ({ files: count, bytes }) => {
    const nowMs = context.clock.now();
    if (nowMs - toldMs < TELL_MS) return;
    toldMs = nowMs;
    const rate = bytes / Math.max(1, (nowMs - startedMs) / 1000);
    const left = rate === 0 ? "" : `, ${Math.ceil((total - bytes) / rate)} s left`;
    const far = `${count}/${files.length} files, ${formatBytes(bytes)} of ${formatBytes(total)}`;
    context.log.spin(spinner(`Syncing ${mount.uri}: ${far}, ${formatBytes(rate)}/s${left}`));
  };
}

function uploadFailed(mount: BucketMount, error: unknown): Error {
  return storageFailure(StorageUploadError, error, {
    what: `Upload to bucket failed for store ${mount.bucket}.`,
    hint: "Repeat the command: it goes on where it stopped.",
  });
}
