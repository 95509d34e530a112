import type { MountCache, MountSpec } from "../../shared/agent/mounts.ts";
import { readSettings } from "./read-settings.ts";
import { isAtLeast, type RcloneVersion } from "./rclone-version.ts";

export interface MountCommand {
  readonly program: string;
  readonly version: RcloneVersion;
  readonly path: string;
  /**
   * Whether other users of the machine may look into it, in a container; `root`: root alone, as the program is that mounts inside of it. Undefined: nobody else.
   */
  readonly othersToo: "all" | "root" | undefined;
  readonly cacheDir: string;
  /** File with the certificates that are trusted instead of the machine's. */
  readonly caBundle?: string | undefined;
  /** Of the machine, or of the container that it is. */
  readonly memoryGib: number;
}

/** How often rclone looks what waits in its cache; it says so in its log, which tells when a mount is flushed. */
const CACHE_LOOK = "1s";
/** Of a file that is written as a stream: with 10,000 parts it may grow to 160 GB. */
const PART_SIZE = "16M";
/**
 * How long a server is waited for that is away. A read is tried four times, each with two by three requests that wait longer and longer: that is a minute
 * where connections break, and twice that where the kernel asks again, then an error. What was written is sent again until it is there. With
 * one try less a directory could not be listed during four seconds' silence.
 */
const PATIENCE = { "low-level-retries": 3, contimeout: "5s", timeout: "30s" } as const;

type Settings = Readonly<Record<string, string | number | undefined>>;

/** The arguments that mount a bucket in the foreground. Nothing in them is secret. */
export function mountArguments(spec: MountSpec, command: MountCommand): string[] {
  // The slash tells rclone that it is no object, which it would ask for otherwise.
  const place = spec.prefix === "" ? spec.bucket : `${spec.bucket}/${spec.prefix}/`;
  const { cache } = spec;
  // rclone finds what a mount before has not sent by the bucket and all settings of S3: those of one place stay the same.
  const settings: Settings = {
    config: "",
    "log-level": "INFO",
    "s3-provider": providerOf(spec, command),
    "s3-region": spec.region,
    "s3-endpoint": spec.endpoint,
    "s3-chunk-size": PART_SIZE,
    "cache-dir": command.cacheDir,
    "vfs-cache-poll-interval": CACHE_LOOK,
    "ca-cert": command.caBundle,
    ...PATIENCE,
    ...readSettings(command, cache),
    ...(cache === undefined ? PASSING : cachingSettings(cache)),
  };
  return [
    subcommand(spec.isReadOnly, command.version),
    `:s3:${place}`,
    command.path,
    "--s3-env-auth",
    "--s3-no-check-bucket",
    // The time of a file is in its object's metadata, which takes a request each.
    "--use-server-modtime",
    // Of a file that is read from its beginning to its end the MD5 would be told, after that: it costs as much as all the rest of reading.
    "--no-checksum",
    ...(spec.isReadOnly ? ["--read-only"] : []),
    ...OTHERS[command.othersToo ?? "none"],
    // It is us who look what is in the way: what a program writes there while rclone starts is found afterwards.
    ...(isAtLeast(command.version, 1, 70) ? ["--allow-non-empty"] : []),
    ...(cache === undefined ? [] : ["--vfs-fast-fingerprint"]),
    ...Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)])),
  ];
}

/** The kernel keeps others than root out by the modes, which it does not look at otherwise. */
const OTHERS = {
  all: ["--allow-other"],
  root: ["--allow-other", "--default-permissions", "--umask", "077"],
  none: [],
} as const;

/** How long rclone answers from memory what is in a directory. */
const REMEMBERS = { passingSeconds: 5, cachingSeconds: 10 } as const;

/** After this a mount has asked anew what is in a directory. */
export function memoryMs({ cache }: Pick<MountSpec, "cache">): number {
  return (cache === undefined ? REMEMBERS.passingSeconds : REMEMBERS.cachingSeconds) * 1000 + 500;
}

/** As rclone knows the servers, by the scheme of URIs; others speak S3 in the plainest way. Older rclones do not know R2's. */
function providerOf({ scheme, endpoint }: MountSpec, { version }: MountCommand): string {
  if (scheme === "r2" && isAtLeast(version, 1, 59)) return "Cloudflare";
  return endpoint === undefined ? "AWS" : "Other";
}

/**
 * What is written passes through the disk, and goes to the bucket when the last program that has it open is done. Written straight to the
 * bucket, a file would end when the first of several programs closes it, e.g. a child that inherited its parent's output. With a
 * pause of 0 what failed would not be tried again, and a file that is renamed while it is being sent stays under its old name, too: programs that write
 * a file and rename it do so within half a second.
 */
const PASSING = {
  "vfs-cache-mode": "writes",
  "vfs-write-back": "500ms",
  "vfs-cache-max-age": "10s",
  "dir-cache-time": `${REMEMBERS.passingSeconds}s`,
} as const;

/**
 * The other of rclone's two ways to speak to FUSE takes half the processor time to read, with requests of 1 MiB instead of 128 KiB. It is said to be
 * experimental, and for a second does not find what is below a directory that was renamed: it serves what is only read, in the release
 * that the tests judge.
 */
function subcommand(isReadOnly: boolean, [major, minor]: RcloneVersion): "mount" | "mount2" {
  return isReadOnly && major === 1 && minor === 75 ? "mount2" : "mount";
}

function cachingSettings(cache: MountCache): Settings {
  const { transfers } = cache;
  const checkers =
    transfers === undefined ? undefined : Math.max(4, Math.min(2 * transfers, Math.floor(30 + 1.2 * transfers)));
  return {
    "vfs-cache-mode": "full",
    "dir-cache-time": `${REMEMBERS.cachingSeconds}s`,
    "vfs-cache-max-size": cache.maxSize ?? "10G",
    "vfs-write-back": cache.writeBack ?? "1s",
    transfers,
    checkers,
    "vfs-cache-max-age": cache.maxAge,
    "vfs-read-ahead": cache.readAhead,
  };
}

/** What a line of rclone's log says of the cache; undefined for other lines. */
export function readCacheLine(line: string): { readonly waiting: number } | undefined {
  const found = /vfs cache: cleaned: .*in use (\d+), to upload (\d+), uploading (\d+)/u.exec(line);
  return found === null ? undefined : { waiting: Number(found[2]) + Number(found[3]) };
}

/** Answers that do not change by themselves. Keys that ended do: new ones come. */
const FINAL =
  /AccessDenied|Unauthorized|NoSuchBucket|InvalidAccessKeyId|SignatureDoesNotMatch|AllAccessDisabled|MethodNotAllowed|NotImplemented|EntityTooLarge/u;

/** What a line of rclone's log says of a file that could not be sent. */
export function readUploadFailure(
  line: string,
): { readonly tries: number; readonly reason: string; readonly isFinal: boolean } | undefined {
  const found = /ERROR\s*: (.*): vfs cache: failed to upload try #(\d+), will retry in [^:]*: (.*)$/u.exec(line);
  if (found === null) return undefined;
  const [, name = "", tries = "", why = ""] = found;
  const reason = `${name}: ${why.replace(/^vfs cache: failed to transfer file from cache to remote: /u, "")}`;
  return { tries: Number(tries), reason, isFinal: FINAL.test(why) };
}

/** The last refusal in the log, with the action that is missing where S3's answer does not name it. */
export function lastRefusal(
  log: string,
  spec: Pick<MountSpec, "scheme">,
): { readonly line: string; readonly text: string; readonly by?: string } | undefined {
  const line = log.split("\n").findLast((one) => /ERROR.*(?:AccessDenied|Unauthorized|Forbidden)/u.test(one));
  if (line === undefined) return undefined;
  const text = lastProblem(line) ?? line;
  const by = spec.scheme === undefined ? {} : { by: spec.scheme.toUpperCase() };
  return { line, text: nameAction(text, spec), ...by };
}

/** What a right that is missing looks like. */
const REFUSAL = /AccessDenied|Unauthorized|Forbidden|status ?code: 403/iu;

/**
 * Adds to a refusal which action is missing: S3's own answers name it for callers of the bucket's account alone. Other stores have no
 * such actions, and nothing is missing where the bucket is gone or a key is wrong.
 */
export function nameAction(text: string, { scheme = "s3" }: Pick<MountSpec, "scheme">): string {
  if (scheme !== "s3" || !REFUSAL.test(text) || /(?:s3|kms):[A-Z]/u.test(text)) return text;
  const found = ACTIONS.find(([, pattern]) => pattern.test(text));
  return found === undefined ? text : `${text} (needs ${found[0]})`;
}

const ACTIONS = [
  ["s3:PutObject", /upload|Failed to copy|transfer file from cache|Post request|mkdir/iu],
  ["s3:DeleteObject", /remove|delete/iu],
  ["s3:GetObject", /read|open|NewReader/iu],
  ["s3:ListBucket to list, s3:GetObject to read", /IO error/iu],
  ["s3:ListBucket", /list|dir/iu],
] as const;

/** The last line that says what is wrong, without its time. */
export function lastProblem(log: string): string | undefined {
  const line = log
    .split("\n")
    .findLast((one) => /ERROR|CRITICAL|Fatal error|Failed to/u.test(one))
    ?.replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /u, "")
    .replace(/^(?:ERROR|CRITICAL|NOTICE)\s*:\s*/u, "")
    .trim();
  return line === undefined || line === "" ? undefined : line;
}
