import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { MounterPin } from "../../shared/agent/mounts.ts";
import { runCommand } from "../container/engine.ts";
import { openConnections } from "../sync/http-get.ts";
import { findProgram } from "./fuse.ts";
import { isAtLeast, type RcloneVersion } from "./rclone-version.ts";
import { unzipFile } from "./unzip.ts";

export interface Mounter {
  readonly path: string;
  readonly version: RcloneVersion;
}

export interface MounterOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Where it is kept when it has to be fetched. */
  readonly folder: string;
  /** Where the server puts the archive for a node that cannot fetch it. */
  readonly broughtFolder: string;
  readonly pins: readonly MounterPin[];
  /** Whether an older one than the pinned that is installed does where that cannot be had. */
  readonly acceptsOld: boolean;
  /** Looks for what is installed. */
  readonly find?: typeof findProgram;
  readonly signal: AbortSignal;
}

/** Older ones lack options that mounts need; many newer ones lose sight of files whose directory is renamed before they are sent. */
const OLDEST = [1, 58] as const;
const MAX_BYTES = 200 * 1024 * 1024;
/** Where packets vanish, the server brings the archive after this. */
const ANSWER_MS = 10_000;

/** The rclone of the machine when it is as new as the pinned one, else that, fetched once. Throws MOUNTER_MISSING. */
export async function findMounter(options: MounterOptions): Promise<Mounter> {
  const { env, pins, acceptsOld, find = findProgram } = options;
  const installed = find("rclone", env);
  const own = installed === undefined ? undefined : await asMounter(installed, env);
  const pin = pins.find(({ arch }) => arch === process.arch);
  if (own !== undefined && (pin === undefined || isAtLeast(own.version, ...versionIn(pin.version)))) return own;
  if (pin === undefined) throw mounterMissing(new NotHadError(`there is none for ${process.arch}`));
  try {
    return await pinnedMounter(pin, options);
  } catch (error) {
    if (own !== undefined && acceptsOld) return own;
    throw error instanceof NotHadError ? mounterMissing(error, own && { own, pin }) : error;
  }
}

/** Why the pinned program cannot be had. */
class NotHadError extends Error {}

async function pinnedMounter(pin: MounterPin, options: MounterOptions): Promise<Mounter> {
  const { env, folder } = options;
  const name = `rclone-${pin.sha256.slice(0, 16)}`;
  const path = join(folder, name);
  const brought = join(options.broughtFolder, `${name}.zip`);
  if (!existsSync(path)) await fetchMounter(pin, { path, brought }, options.signal);
  const fetched = await asMounter(path, env);
  if (fetched === undefined) throw new NotHadError(`${path} does not run on this machine`);
  return fetched;
}

async function asMounter(path: string, env: Readonly<Record<string, string>>): Promise<Mounter | undefined> {
  const answer = await runCommand([path, "version"], { env });
  const version = versionIn(answer.stdout);
  return isAtLeast(version, ...OLDEST) ? { path, version } : undefined;
}

function versionIn(text: string): RcloneVersion {
  const found = /v(\d+)\.(\d+)/u.exec(text);
  return [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)];
}

async function fetchMounter(
  pin: MounterPin,
  { path, brought }: { readonly path: string; readonly brought: string },
  signal: AbortSignal,
): Promise<void> {
  const archive = existsSync(brought) ? readFileSync(brought) : await download(pin, signal);
  const sha256 = createHash("sha256").update(archive).digest("hex");
  if (sha256 !== pin.sha256) {
    rmSync(brought, { force: true });
    throw new NotHadError(`${pin.url} is not rclone ${pin.version}: its SHA-256 is ${sha256}`);
  }
  const program = await unzipFile(archive, pin.program);
  if (program === undefined) throw new NotHadError(`${pin.url} has no ${pin.program}`);
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, program, { mode: 0o700 });
  chmodSync(temporary, 0o700);
  renameSync(temporary, path);
  rmSync(brought, { force: true });
}

async function download({ url }: MounterPin, signal: AbortSignal): Promise<Buffer> {
  const connections = await openConnections();
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    const answer = new AbortController();
    const late = setTimeout(
      () => answer.abort(new Error(`nothing answers within ${ANSWER_MS / 1000} seconds`)),
      ANSWER_MS,
    );
    const both = AbortSignal.any([signal, answer.signal]);
    const response = await connections.get(url, { headers: {}, signal: both }).finally(() => clearTimeout(late));
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BYTES) throw new Error(`${url} is too large`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as Error;
    const { message } = cause instanceof Error ? cause : (error as Error);
    throw new NotHadError(`it cannot be fetched: ${message}`, { cause: error });
  } finally {
    connections.close();
  }
}

/** A code of its own: the server then brings the program itself. `old` is what there is instead of the pinned one. */
function mounterMissing(
  reason: NotHadError,
  old?: { readonly own: Mounter; readonly pin: MounterPin },
): AgentPeerError {
  const what =
    old === undefined
      ? "The node has no rclone, which mounting needs"
      : `The node has rclone v${old.own.version.join(".")}, and the newer ${old.pin.version} could not be had`;
  return new AgentPeerError("MOUNTER_MISSING", `${what}: ${reason.message}.`, {
    cause: reason,
    hint: "Install rclone 1.58 or newer on the node (sudo apt-get install rclone), or use `mode: COPY`.",
  });
}
