import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { findFuseMount, unmount } from "../../platform/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { LentKeys, MountSpec, MountState } from "../../shared/agent/mounts.ts";
import { uriOf } from "../../shared/bucket-uri.ts";
import type { Clock } from "../../shared/clock.ts";
import { readChunk } from "../logs/tail-file.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import { assertLinkable, makeLink, resolveDestination, type Destination } from "../sync/dest.ts";
import { explain } from "./explain.ts";
import { mayAllowOthers, requireFuse } from "./fuse.ts";
import { hasInstanceRole } from "./instance-role.ts";
import type { KeysDoor } from "./keys-door.ts";
import { removePlace } from "./left-over.ts";
import { adoptMountProcess, startMountProcess, type MountProcess } from "./mount-process.ts";
import type { Mounter } from "./mounter.ts";
import { memoryGib } from "./read-settings.ts";
import { lastProblem, lastRefusal, memoryMs, mountArguments, nameAction } from "./rclone-command.ts";
import { hasUnsent } from "./unsent.ts";
import { hasFiles, waitForUploads } from "./wait-for-uploads.ts";

export interface MountTools {
  /** The agent's folder of mounts. */
  readonly folder: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  readonly mayUseSudo: boolean;
  /** Variable that everything carries that belongs to this agent; the mount's id is added. */
  readonly marker: readonly [string, string];
  readonly door: KeysDoor;
  readonly mounter: () => Promise<Mounter>;
  readonly clock: Clock;
  readonly log: AgentLog;
}

/** How long a mount may take to appear. */
const APPEAR_MS = 20_000;
const GAP_MS = 50;
/** How long the first look into a bucket may take: some hundred thousand names. */
const LOOK_MS = 60_000;
/** How long a mount may take to show what is in it. */
const ANSWER_MS = 10_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
const LEAVE_MS = 5000;
const MAX_LOG_BYTES = 8 * 1024 * 1024;
const LOG_TAIL = 16 * 1024;

/** One mount of this node: put up, put up again when its program or the machine went, taken down. */
export class BucketMount {
  readonly spec: MountSpec;
  readonly #tools: MountTools;
  readonly #id: string;
  readonly #place: Destination;
  readonly #token = randomBytes(32).toString("hex");
  #process: MountProcess | undefined;
  #state: MountState["state"] = "waiting";
  #reason: string | undefined;
  #keysProblem: string | undefined;
  #isEnding = false;
  #kept: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();

  constructor(spec: MountSpec, tools: MountTools) {
    this.spec = spec;
    this.#tools = tools;
    this.#place = resolveDestination(spec.place ?? spec.dest, tools.home);
    this.#id = createHash("sha256").update(spec.dest).digest("hex").slice(0, 12);
  }

  get state(): Omit<MountState, "node"> {
    const keys = this.#tools.door.keysOf(this.#id);
    const expiresAtMs = keys?.expiresAtMs;
    const refusal = lastRefusal(this.#logTail(), this.spec);
    return {
      dest: this.spec.dest,
      state: this.#state,
      hasKeys: keys !== undefined,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      ...(refusal === undefined ? {} : { refusal }),
      ...(this.#keysProblem === undefined ? {} : { keysProblem: this.#keysProblem }),
    };
  }

  get hasKeys(): boolean {
    return this.spec.credentials === "node" || this.#tools.door.keysOf(this.#id) !== undefined;
  }

  /** The program of an earlier agent, if it still runs. */
  adopt(): MountProcess | undefined {
    this.#process = adoptMountProcess(this.#recordPath, this.#marker.join("="), this.#tools.clock);
    if (this.#process !== undefined) this.#state = "mounted";
    return this.#process;
  }

  /** There are no new keys for it at this moment. */
  refuse(reason: string): void {
    this.#keysProblem = reason;
  }

  lend(keys: LentKeys): void {
    this.#keysProblem = undefined;
    const { door, clock } = this.#tools;
    const running = this.#process;
    door.admit(this.#id, running?.token ?? this.#token);
    door.lend(this.#id, keys);
    this.#wake.resolve();
    // Somebody took the door's port while no agent ran: the program asks where nobody is, and has to be started anew.
    if (running !== undefined && running.port !== door.port) void stop(running, clock);
  }

  /**
   * Lends keys that others were there before of. The program does not ask for new ones before those end, though whoever made them may have
   * taken them back: then it is started anew. Resolves with whether it is.
   */
  async exchange(keys: LentKeys): Promise<boolean> {
    const { door, clock } = this.#tools;
    const before = door.keysOf(this.#id)?.issuer;
    const running = this.#process;
    this.lend(keys);
    if (running === undefined || before === undefined || before === keys.issuer) return false;
    // What it answers at first it may remember from before.
    let isGood = await this.#answers();
    if (isGood) {
      await clock.sleep(memoryMs(this.spec));
      isGood = await this.#answers();
    }
    if (isGood) return false;
    this.#note("failed", "it is put up anew with other keys");
    await stop(running, clock);
    return true;
  }

  async #answers(): Promise<boolean> {
    const look = readdir(this.#place.path).then(
      () => true,
      () => false,
    );
    return Promise.race([look, this.#tools.clock.sleep(ANSWER_MS).then(() => false)]);
  }

  /** Puts it up now. Throws MOUNT_FAILED, PATH_EXISTS, NOT_ALLOWED. */
  async begin(): Promise<void> {
    this.#process = await this.#mount();
    this.#note("mounted");
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** Whether something that was written to it is not in the bucket. */
  hasUnsent(): Promise<boolean> {
    return hasUnsent(this.#cacheDir);
  }

  /** Keeps it up until `end`. */
  keep(): void {
    this.#kept = this.#keepUp();
  }

  async #keepUp(): Promise<void> {
    const { clock, log } = this.#tools;
    for (let pauseMs = FIRST_RETRY_MS; !this.#isEnding; pauseMs = Math.min(LAST_RETRY_MS, pauseMs * 2)) {
      try {
        if (this.#process === undefined && !this.hasKeys) {
          this.#note("waiting", "its keys are missing");
          await this.#nextWake();
          continue;
        }
        this.#process ??= await this.#mount();
        this.#note("mounted");
        const { pid } = this.#process;
        await Promise.race([this.#process.exited, this.#ended()]);
        if (this.#isEnding) return;
        this.#process = undefined;
        log.error("mount lost", { dest: this.spec.dest, pid });
        this.#note("failed", lastProblem(this.#logTail()) ?? "its program ended");
        pauseMs = FIRST_RETRY_MS;
      } catch (error) {
        log.error("mount failed", { dest: this.spec.dest, ...describeError(error) });
        this.#note("failed", error instanceof Error ? error.message : String(error));
      }
      await Promise.race([clock.sleep(pauseMs), this.#nextWake()]);
    }
  }

  /**
   * Resolves when everything that was written is in the bucket. `isRunning`: also of a mount that takes over what waits here. Throws
   * MOUNT_DENIED, MOUNT_FAILED when that will not be.
   */
  async flush(signal: AbortSignal, isRunning: () => boolean = () => this.isRunning): Promise<void> {
    if (this.spec.isReadOnly || !this.#hasCached()) return;
    const { clock } = this.#tools;
    const { spec } = this;
    await waitForUploads(
      { spec, logPath: this.#logPath, isRunning, hasUnsent: () => this.hasUnsent() },
      { clock, signal },
    );
  }

  /**
   * Takes it down. With `forget` nothing of it is left on the node, but with `keepsUnsent` the cache of what is not in the bucket, for a mount that
   * comes to the same place. Files that are still open in it get errors.
   */
  async end({
    forget,
    keepsUnsent = false,
  }: {
    readonly forget: boolean;
    readonly keepsUnsent?: boolean;
  }): Promise<void> {
    this.#isEnding = true;
    this.#wake.resolve();
    await this.#takeDown();
    // A program that was just being started would use the cache of the one that comes next.
    await Promise.race([this.#kept, this.#tools.clock.sleep(LEAVE_MS)]);
    await this.#takeDown();
    if (!forget) return;
    this.#tools.door.forget(this.#id);
    removePlace(this.#place);
    if (keepsUnsent && (await this.hasUnsent())) return;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A log that grows for weeks is begun anew. */
  trimLog(): void {
    const size = statSync(this.#logPath, { throwIfNoEntry: false })?.size ?? 0;
    // The program appends: what it writes next begins the file.
    if (size > MAX_LOG_BYTES) truncateSync(this.#logPath);
  }

  async #mount(): Promise<MountProcess> {
    const { env, mayUseSudo, home, door, mounter, log } = this.#tools;
    const { path, link } = this.#place;
    if (link !== undefined) assertLinkable(link);
    await requireFuse({ env, mayUseSudo });
    if (this.spec.credentials === "node" && !(await hasInstanceRole())) {
      throw new AgentPeerError("MOUNT_DENIED", "The node has no role of its own.", { hint: "See docs/aws/role.md." });
    }
    const { path: program, version } = await mounter();
    this.#assertWanted();
    await this.#takeDown();
    this.#makePlace();
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    await door.open();
    this.#assertWanted();
    const token = this.#token;
    door.admit(this.#id, token);
    // rclone knows the variable under another name, and does not start with this one.
    const { AWS_CA_BUNDLE: caBundle, ...rest } = env;
    const cacheDir = this.#cacheDir;
    const allowsOthers = mayAllowOthers();
    const command = { program, version, path, allowsOthers, cacheDir, caBundle, memoryGib: memoryGib() };
    const started = await startMountProcess([program, ...mountArguments(this.spec, command)], {
      env: { ...rest, ...this.#variables(token) },
      logPath: this.#logPath,
      recordPath: this.#recordPath,
      port: door.port,
      token,
      cwd: home,
    });
    try {
      await this.#appear(started);
    } catch (error) {
      await stop(started, this.#tools.clock);
      await this.#takeDown();
      throw error;
    }
    if (link !== undefined) makeLink(link, path, { home, mayUseSudo });
    log.info("mounted", { dest: this.spec.dest, bucket: this.spec.bucket, pid: started.pid });
    return started;
  }

  /** Whoever ended it may have put up another one at its place by now. */
  #assertWanted(): void {
    if (this.#isEnding) throw new AgentPeerError("MOUNT_FAILED", `The mount of ${this.spec.dest} was taken down.`);
  }

  #variables(token: string): Readonly<Record<string, string>> {
    const [name, value] = this.#marker;
    const none = { AWS_SHARED_CREDENTIALS_FILE: "/dev/null", AWS_CONFIG_FILE: "/dev/null", [name]: value };
    if (this.spec.credentials === "node") return none;
    const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url = "" } = this.#tools.door.variables(this.#id);
    return {
      ...none,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: token,
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  /** Refuses a place with files in it: they would be out of sight. */
  #makePlace(): void {
    const { path } = this.#place;
    const { dest } = this.spec;
    makeDirectory(path, dest);
    if (readdirSync(path).length === 0) return;
    throw new AgentPeerError(
      "MOUNT_FAILED",
      `Mount path ${dest} is non-empty. ${dest} may be a standard unix path or may contain files from a previous task. ` +
        "To fix, change the mount path to an empty or non-existent path.",
    );
  }

  /** Waits for the mount, and looks into it once: wrong keys and missing buckets show only then. */
  async #appear(started: MountProcess): Promise<void> {
    const { clock } = this.#tools;
    const { path } = this.#place;
    for (const deadline = clock.now() + APPEAR_MS; findFuseMount(path) === undefined;) {
      if (started.isOver() || clock.now() > deadline) throw this.#failed("rclone did not mount it");
      await clock.sleep(GAP_MS);
    }
    const look = readdir(path).then(
      () => undefined,
      (error: unknown) => this.#failed("it cannot be read", error),
    );
    const silence = clock.sleep(LOOK_MS).then(() => this.#failed(`nothing answered within ${LOOK_MS / 1000} seconds`));
    const failure = await Promise.race([look, silence]);
    if (failure !== undefined) throw failure;
  }

  #failed(what: string, cause?: unknown): AgentPeerError {
    const { dest, scheme } = this.spec;
    const problem = nameAction(lastProblem(this.#logTail()) ?? what, this.spec);
    const { code, message, hint } = explain(problem, scheme);
    return new AgentPeerError(code, `${uriOf(this.spec)} could not be mounted at ${dest}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      ...(cause === undefined ? {} : { cause }),
    });
  }

  async #takeDown(): Promise<void> {
    const { clock } = this.#tools;
    const { path } = this.#place;
    const running = this.#process ?? adoptMountProcess(this.#recordPath, this.#marker.join("="), clock);
    this.#process = undefined;
    for (let isForced = false; findFuseMount(path)?.type === "fuse.rclone"; isForced = true) {
      if (!(await unmount(path, { isForced })) && isForced) break;
    }
    if (running !== undefined) await stop(running, clock);
    rmSync(this.#recordPath, { force: true });
  }

  /** Whether files may wait on the disk. Of what only passes through it nothing is there after a few seconds. */
  #hasCached(): boolean {
    if (this.spec.cache !== undefined && this.#process !== undefined) return true;
    return hasFiles(join(this.#cacheDir, "vfs"));
  }

  #note(state: MountState["state"], reason?: string): void {
    this.#state = state;
    this.#reason = reason;
  }

  /** Resolves when keys come, or the end. */
  async #nextWake(): Promise<void> {
    await this.#wake.promise;
    if (!this.#isEnding) this.#wake = Promise.withResolvers();
  }

  async #ended(): Promise<void> {
    while (!this.#isEnding) await this.#nextWake();
  }

  #logTail(): string {
    const size = statSync(this.#logPath, { throwIfNoEntry: false })?.size ?? 0;
    return readChunk(this.#logPath, Math.max(0, size - LOG_TAIL)).toString("utf8");
  }

  get #marker(): readonly [string, string] {
    const [name, value] = this.#tools.marker;
    return [name, `${value}.mount-${this.#id}`];
  }

  get #folder(): string {
    return join(this.#tools.folder, this.#id);
  }

  get #cacheDir(): string {
    return join(this.#folder, "cache");
  }

  get #logPath(): string {
    return join(this.#folder, "log");
  }

  get #recordPath(): string {
    return join(this.#folder, "process");
  }
}

/** TERM lets rclone unmount by itself. */
async function stop(running: MountProcess, clock: Clock): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (running.isOver()) return;
    try {
      process.kill(running.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") return;
      throw error;
    }
    for (const deadline = clock.now() + LEAVE_MS; !running.isOver() && clock.now() < deadline;)
      await clock.sleep(GAP_MS);
  }
}

function makeDirectory(path: string, dest: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    const isTaken = code === "EEXIST" || code === "ENOTDIR";
    if (!isTaken && code !== "EACCES") throw error;
    const what = isTaken ? `${dest}, or what it lies in, is a file on the node` : `This user may not make ${dest}`;
    throw new AgentPeerError("MOUNT_FAILED", `${what}.`, { hint: "Mount to another path.", cause: error });
  }
}
