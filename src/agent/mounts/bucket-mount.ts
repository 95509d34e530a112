import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { findFuseMount, unmount } from "../../platform/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { LentKeys, MountSpec, MountState } from "../../shared/agent/mounts.ts";
import { uriOf } from "../../shared/bucket-uri.ts";
import type { Clock } from "../../shared/clock.ts";
import { readChunk } from "../logs/tail-file.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import { findTree } from "../tasks/kill-tree.ts";
import { explain } from "./explain.ts";
import { mayAllowOthers, requireFuse } from "./fuse.ts";
import { hasInstanceRole } from "./instance-role.ts";
import type { KeysDoor } from "./keys-door.ts";
import { MountPlace } from "./mount-place.ts";
import { adoptMountProcess, startMountProcess, stopMountProcess, type MountProcess } from "./mount-process.ts";
import type { Mounter } from "./mounter.ts";
import { memoryGib } from "./read-settings.ts";
import { lastProblem, lastRefusal, memoryMs, mountArguments, nameAction, type MountCommand } from "./rclone-command.ts";
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
  /** The mount that a path lies in. */
  readonly outerOf: (path: string) => string | undefined;
  /** Whether everything is up that a path lies in. */
  readonly isReachable: (path: string) => boolean;
  /** Told of a path where a mount has come up: what was mounted below is out of sight. */
  readonly onUp: (path: string) => void;
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
  readonly #place: MountPlace;
  readonly #token = randomBytes(32).toString("hex");
  #process: MountProcess | undefined;
  #state: MountState["state"] = "waiting";
  #reason: string | undefined;
  #keysProblem: string | undefined;
  #isEnding = false;
  /** Whether a mount has been at the place before, so that what is there was written since. */
  #wasUp: boolean;
  #kept: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();

  /** `after`: whose place it takes, which may be its own from before the agent was started. */
  constructor(spec: MountSpec, tools: MountTools, after?: BucketMount | "itself") {
    this.spec = spec;
    this.#tools = tools;
    this.#wasUp = after !== undefined;
    const { home, mayUseSudo } = tools;
    this.#place = new MountPlace({ dest: spec.dest, place: spec.place, home, mayUseSudo, clock: tools.clock });
    if (after instanceof BucketMount) this.#place.inherit(after.#place);
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

  get path(): string {
    return this.#place.path;
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
    if (running !== undefined && running.port !== door.port) void stopMountProcess(running, clock);
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
    await stopMountProcess(running, clock);
    return true;
  }

  async #answers(): Promise<boolean> {
    const look = readdir(this.path).then(
      () => true,
      () => false,
    );
    return Promise.race([look, this.#tools.clock.sleep(ANSWER_MS).then(() => false)]);
  }

  /** Puts it up now. Throws MOUNT_FAILED, PATH_EXISTS, NOT_ALLOWED. */
  async begin(): Promise<void> {
    this.#process = await this.#mount();
    this.#note("mounted");
    this.#tools.onUp(this.path);
  }

  /** Puts it up anew when it is not to be seen any more, because what it lies in was put up anew. */
  async recheck(): Promise<void> {
    const running = this.#process;
    if (running === undefined || this.#isEnding || (await findFuseMount(this.path)) !== undefined) return;
    this.#note("failed", "what it lies in was mounted anew");
    await stopMountProcess(running, this.#tools.clock);
  }

  get isUp(): boolean {
    return this.#state === "mounted";
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
        const isNew = this.#process === undefined;
        this.#process ??= await this.#mount();
        this.#note("mounted");
        if (isNew) this.#tools.onUp(this.path);
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
  async flush(
    signal: AbortSignal,
    { isRunning = () => this.isRunning }: { readonly isRunning?: () => boolean } = {},
  ): Promise<void> {
    if (this.spec.isReadOnly) return;
    const { clock } = this.#tools;
    const { spec } = this;
    if (this.#hasCached()) {
      await waitForUploads(
        { spec, logPath: this.#logPath, isRunning, hasUnsent: () => this.hasUnsent() },
        { clock, signal },
      );
    }
    if (!isRunning() && this.#wasUp && (await findFuseMount(this.path)) === undefined) await this.#place.setAside();
  }

  /** Throws MOUNT_FAILED when files that were written since are not in the bucket, and will not be. */
  requireNothingLost(sinceMs: number): void {
    const { lost } = this;
    if (lost !== undefined && (this.#place.lastAsideMs ?? 0) >= sinceMs) throw new AgentPeerError("MOUNT_FAILED", lost);
  }

  /** Says that files were written to its place while it was not there, and where they are. */
  get lost(): string | undefined {
    const { aside } = this.#place;
    if (aside === undefined || this.spec.isReadOnly) return undefined;
    const { dest } = this.spec;
    const where = this.#place.shown(aside);
    return `Files were written to ${dest} while it was not mounted. They are not in ${uriOf(this.spec)}, but in ${where} on the node.`;
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
    this.#note("waiting", "it is taken down");
    this.#wake.resolve();
    await this.#takeDown();
    // A program that was just being started would use the cache of the one that comes next.
    await Promise.race([this.#kept, this.#tools.clock.sleep(LEAVE_MS)]);
    await this.#takeDown();
    if (!forget) return;
    this.#tools.door.forget(this.#id);
    await this.#place.remove();
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
    const { path } = this;
    this.#place.assertFree();
    await requireFuse({ env, mayUseSudo });
    this.#requireOutside();
    if (this.spec.credentials === "node" && !(await hasInstanceRole())) {
      throw new AgentPeerError("MOUNT_DENIED", "The node has no role of its own.", { hint: "See docs/aws/role.md." });
    }
    const { path: program, version } = await mounter();
    await this.#reachPlace();
    await this.#takeDown();
    await this.#requireNothingElse();
    await this.#place.prepare({ wasMounted: this.#wasUp });
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    await door.open();
    this.#assertWanted();
    const token = this.#token;
    door.admit(this.#id, token);
    // rclone knows the variable under another name, and does not start with this one.
    const { AWS_CA_BUNDLE: caBundle, ...rest } = env;
    const cacheDir = this.#cacheDir;
    // A container's user may be another one than the node's. On the node itself nobody else has any business in it.
    const others = this.spec.place === undefined ? "root" : "all";
    const othersToo = mayAllowOthers() ? others : undefined;
    const command: MountCommand = { program, version, path, othersToo, cacheDir, caBundle, memoryGib: memoryGib() };
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
      await stopMountProcess(started, this.#tools.clock);
      await this.#takeDown();
      await this.#place.cover({ isMounted: false });
      throw error;
    }
    this.#wasUp = true;
    await this.#place.cover({ isMounted: true });
    this.#place.makeLink();
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

  /** The program that mounts for users is root to the kernel, which other mounts do not let in unless they may. */
  #requireOutside(): void {
    const outer = this.#tools.outerOf(this.path);
    if (outer === undefined || mayAllowOthers()) return;
    throw new AgentPeerError(
      "MOUNT_FAILED",
      `${this.spec.dest} lies in the mount of ${outer}, where this user may not mount.`,
      {
        hint: "Mount it elsewhere. Or let an administrator add the line user_allow_other to /etc/fuse.conf of the node, take the cluster down and launch again.",
      },
    );
  }

  /** Waits for the mounts that it lies in. */
  async #reachPlace(): Promise<void> {
    const { clock, isReachable } = this.#tools;
    for (const deadline = clock.now() + APPEAR_MS; ; await clock.sleep(GAP_MS)) {
      this.#assertWanted();
      if (isReachable(this.path)) return;
      if (clock.now() > deadline)
        throw new AgentPeerError("MOUNT_FAILED", `What ${this.spec.dest} lies in is not mounted.`);
    }
  }

  /** Another node, another cluster or the user has something mounted there, which is not ours to take down. */
  async #requireNothingElse(): Promise<void> {
    if ((await findFuseMount(this.path)) === undefined) return;
    const what = `Something else is mounted at ${this.spec.dest} on the node already.`;
    throw new AgentPeerError("MOUNT_FAILED", what, { hint: "Mount to another path." });
  }

  /** Waits for the mount, and looks into it once: wrong keys and missing buckets show only then. */
  async #appear(started: MountProcess): Promise<void> {
    const { clock } = this.#tools;
    const { path } = this;
    for (const deadline = clock.now() + APPEAR_MS; (await findFuseMount(path)) === undefined;) {
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
    const { path } = this;
    const running = this.#process ?? adoptMountProcess(this.#recordPath, this.#marker.join("="), clock);
    this.#process = undefined;
    for (let isForced = false; await this.#isOwnThere(running); isForced = true) {
      if (!(await unmount(path, { isForced })) && isForced) break;
    }
    if (running !== undefined) await stopMountProcess(running, clock);
    rmSync(this.#recordPath, { force: true });
  }

  /** Whether the mount's own program has put up what is mounted at its place: that of another cluster, or of the user, stays. */
  async #isOwnThere(running: MountProcess | undefined): Promise<boolean> {
    if ((await findFuseMount(this.path))?.type !== "fuse.rclone") return false;
    if (running !== undefined || existsSync(this.#recordPath)) return true;
    // The agent died before it could write down what it had started.
    return findTree(this.#marker.join("="), new Set()).length > 0;
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
