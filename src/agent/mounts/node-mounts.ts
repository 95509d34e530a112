import { rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type {
  FlushParams,
  LendKeysParams,
  LentKeys,
  LentPlace,
  MounterPin,
  MountParams,
  MountSpec,
  MountState,
} from "../../shared/agent/mounts.ts";
import { uriOf } from "../../shared/bucket-uri.ts";
import type { UploadWait } from "../../shared/agent/upload-wait.ts";
import type { Clock } from "../../shared/clock.ts";
import type { AgentLog } from "../node/agent-log.ts";
import { resolveDestination } from "../sync/dest.ts";
import { BucketMount, type MountTools } from "./bucket-mount.ts";
import { KeysDoor } from "./keys-door.ts";
import { LastAsked } from "./last-asked.ts";
import { lastFlush } from "./last-flush.ts";
import { findMounter, type Mounter } from "./mounter.ts";
import { readStoredMounts, type StoredMounts } from "./stored-mounts.ts";

export interface NodeMountsOptions {
  /** The agent's own directory. */
  readonly root: string;
  readonly home: string;
  /** Where programs are kept for all nodes of the machine. */
  readonly installDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly mayUseSudo: boolean;
  /** Tells this agent's processes from those of others on the machine. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: AgentLog;
}

/** How the mounts of a node that goes are taken down. */
export interface EndOptions {
  readonly forget: boolean;
  /** Absent: ten minutes. */
  readonly uploadWait?: UploadWait | undefined;
}

/** How long a task waits for mounts that are being put up again. */
const READY_MS = 60_000;
const READY_GAP_MS = 100;
const TRIM_MS = 60_000;
/** How long a mount that was just being put up is waited for at the end. */
const LEAVE_MS = 5000;

/** The buckets that this node's tasks see as directories. */
export class NodeMounts {
  readonly #options: NodeMountsOptions;
  readonly #door = new KeysDoor();
  readonly #mounts = new Map<string, BucketMount>();
  readonly #path: string;
  #mounters: readonly MounterPin[] = [];
  #mounter: Promise<Mounter> | undefined;
  /** After a reboot there is nobody to ask for another one. */
  #acceptsOld = true;
  #trimmer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  /** What a launch is putting up where nothing was. */
  #coming: BucketMount | undefined;
  /** Whether the node ends: nothing is mounted any more. */
  #isOver = false;
  readonly #ending = new LastAsked<readonly string[]>();

  constructor(options: NodeMountsOptions) {
    this.#options = options;
    this.#path = join(options.root, "mounts.json");
  }

  /** Takes over what an earlier agent has put up, and puts up the rest as soon as its keys are there. */
  async resume(): Promise<void> {
    const { log } = this.#options;
    const stored = readStoredMounts(this.#path, () => log.error("list of mounts damaged", { path: this.#path }));
    if (stored === undefined) return;
    this.#mounters = stored.mounters;
    const mounts = stored.mounts.map((spec) => new BucketMount(spec, this.#tools(), "itself"));
    const adopted = mounts.flatMap((mount) => mount.adopt() ?? []);
    await this.#door.open(adopted[0]?.port ?? 0);
    for (const mount of mounts) this.#keep(mount);
  }

  /** Throws MOUNT_FAILED, MOUNT_UNSENT, MOUNTER_MISSING, PATH_EXISTS, NOT_ALLOWED; mounts that failed are forgotten. */
  mount(params: Omit<MountParams, "key">): Promise<void> {
    this.#work = this.#work.catch(() => undefined).then(() => this.#mountAll(params));
    return this.#work;
  }

  async #mountAll({ mounts, mounters, acceptsOld = false }: Omit<MountParams, "key">): Promise<void> {
    this.#acceptsOld = acceptsOld;
    if (mounters.length > 0) this.#mounters = mounters;
    for (const { spec, keys } of mounts) {
      const known = this.#mounts.get(spec.dest);
      if (known !== undefined && isSame(known.spec, spec)) {
        const isComing = keys !== undefined && (await known.exchange(keys));
        if (isComing || known.isUp) continue;
      }
      await this.#replace(spec, keys);
    }
  }

  /** Whatever is at the place now does not do. Until something else is, tasks wait, and do not count as done. */
  async #replace(spec: MountSpec, keys: LentKeys | undefined): Promise<void> {
    const { path } = resolveDestination(spec.place ?? spec.dest, this.#options.home);
    const known = this.#mounts.get(spec.dest) ?? [...this.#mounts.values()].find((mount) => mount.path === path);
    if (known !== undefined) await this.#giveWay(known, spec);
    const mount = new BucketMount(spec, this.#tools(), known);
    if (this.#isOver) throw ending(spec);
    if (known === undefined) {
      // Jobs that run already do not wait for one that was not there when they came.
      this.#coming = mount;
    } else {
      this.#mounts.delete(known.spec.dest);
      this.#mounts.set(spec.dest, mount);
    }
    if (keys !== undefined) mount.lend(keys);
    await this.#begin(mount).finally(() => {
      this.#coming = undefined;
      this.#save();
    });
  }

  /** What waits to be sent is sent by the mount that comes, or before. Throws MOUNT_UNSENT when it cannot be. */
  async #giveWay(known: BucketMount, spec: MountSpec): Promise<void> {
    // Under another name it has another cache.
    const isOther = known.spec.dest !== spec.dest || !isSamePlace(known.spec, spec);
    if (isOther && (await known.hasUnsent())) {
      const reasons = known.isRunning ? await this.#lastFlush(known) : [];
      if (reasons.length > 0 || (await known.hasUnsent())) throw unsent(known.spec, spec, reasons);
    }
    await known.end({ forget: true, keepsUnsent: !isOther });
  }

  /** One that fails is forgotten, unless it has something to send: that is tried again and again. */
  async #begin(mount: BucketMount): Promise<void> {
    try {
      await mount.begin();
    } catch (error) {
      if (await mount.hasUnsent()) this.#keep(mount);
      else {
        await mount.end({ forget: true });
        this.#mounts.delete(mount.spec.dest);
      }
      throw error;
    }
    this.#keep(mount);
  }

  lend({ keys, refused = [] }: LendKeysParams): void {
    for (const { dest, reason } of refused) this.#mounts.get(dest)?.refuse(reason);
    for (const one of keys) {
      const mount = this.#mounts.get(one.dest);
      if (mount !== undefined && isFor(one, mount.spec)) mount.lend(one.keys);
    }
  }

  states(): readonly Omit<MountState, "node">[] {
    return [...this.#mounts.values()].map((mount) => mount.state);
  }

  /** Where tasks may have written what is not sent yet. */
  writtenPlaces(): readonly string[] {
    return [...this.#mounts.values()].flatMap(({ spec }) => (spec.isReadOnly ? [] : [spec.dest]));
  }

  /** Takes one mount down for good, unless it has something to send. */
  async forget(dest: string): Promise<void> {
    const mount = this.#mounts.get(dest);
    if (mount === undefined || (await mount.hasUnsent())) return;
    await mount.end({ forget: true });
    this.#mounts.delete(dest);
    this.#save();
  }

  /** Waits for mounts that are being put up again. Throws MOUNT_FAILED. */
  async ensureReady(): Promise<void> {
    const { clock } = this.#options;
    for (const deadline = clock.now() + READY_MS; ;) {
      const missing = this.states().find((mount) => mount.state !== "mounted");
      if (missing === undefined) return;
      if (clock.now() > deadline) {
        throw new AgentPeerError(
          "MOUNT_FAILED",
          `${missing.dest} is not mounted: ${(missing.reason ?? missing.state).replace(/\.$/u, "")}.`,
          {
            hint: "Launch again to mount it anew.",
          },
        );
      }
      await clock.sleep(READY_GAP_MS);
    }
  }

  /** Resolves when everything that tasks have written is in the buckets. */
  async flush({ forMs = 0 }: FlushParams, signal: AbortSignal): Promise<void> {
    const sinceMs = this.#options.clock.now() - forMs;
    // A launch may replace a mount meanwhile.
    const isRunning = (dest: string): boolean => this.#mounts.get(dest)?.isRunning ?? false;
    await Promise.all(
      [...this.#mounts].map(([dest, mount]) => mount.flush(signal, { isRunning: () => isRunning(dest) })),
    );
    // Looked at last: what has replaced a mount may have found files.
    for (const mount of this.#mounts.values()) mount.requireNothingLost(sinceMs);
  }

  /** The flush before an end, which does not follow yet. */
  async lastFlush(): Promise<readonly string[]> {
    return (await Promise.all(Array.from(this.#mounts.values(), (mount) => this.#lastFlush(mount)))).flat();
  }

  /**
   * Takes everything down, after a flush. With `forget` nothing comes back when the machine starts again; what could not be sent before is
   * lost then, and told in sentences. Who calls again during the flush says how long it is waited for from then on.
   */
  end(options: EndOptions): Promise<readonly string[]> {
    this.#isOver = true;
    const { uploadWait } = options;
    const flushAll = (): Promise<(readonly string[])[]> =>
      Promise.all(Array.from(this.#mounts.values(), (mount) => this.#lastFlush(mount, uploadWait)));
    return this.#ending.ask(flushAll, (unsent) => this.#endAll(options, unsent.flat()));
  }

  async #endAll({ forget }: EndOptions, unsent: readonly string[]): Promise<readonly string[]> {
    const mounts = [...this.#mounts.values(), ...(this.#coming === undefined ? [] : [this.#coming])];
    clearInterval(this.#trimmer);
    // What lies in another mount goes before that.
    for (const level of byDepth(mounts)) await Promise.all(level.map((mount) => mount.end({ forget })));
    // One that was just being put up has been told so.
    const { clock } = this.#options;
    await Promise.race([this.#work.catch(() => undefined), clock.sleep(LEAVE_MS)]);
    this.#door.close();
    if (!forget) return [];
    this.#mounts.clear();
    rmSync(this.#path, { force: true });
    return unsent;
  }

  async #lastFlush(mount: BucketMount, wait?: UploadWait): Promise<readonly string[]> {
    const reason = await lastFlush(mount, wait);
    const reasons = [reason, mount.lost].filter((text) => text !== undefined);
    if (reason !== undefined) this.#options.log.error("mount not flushed", { dest: mount.spec.dest, reason });
    return reasons;
  }

  #keep(mount: BucketMount): void {
    this.#mounts.set(mount.spec.dest, mount);
    this.#trimmer ??= setInterval(() => {
      for (const one of this.#mounts.values()) one.trimLog();
    }, TRIM_MS).unref();
    mount.keep();
  }

  #tools(): MountTools {
    const { root, home, env, mayUseSudo, identity, clock, log } = this.#options;
    return {
      folder: join(root, "mounts"),
      home,
      env,
      mayUseSudo,
      marker: ["SKYPILOT_AGENT_TASK", identity],
      door: this.#door,
      mounter: () => this.#findMounter(),
      outerOf: (path) => [...this.#mounts.values()].find((mount) => isBelow(path, mount.path))?.spec.dest,
      isReachable: (path) => [...this.#mounts.values()].every((mount) => !isBelow(path, mount.path) || mount.isUp),
      onUp: (path) => {
        for (const mount of this.#mounts.values()) if (isBelow(mount.path, path)) void mount.recheck();
      },
      clock,
      log,
    };
  }

  #findMounter(): Promise<Mounter> {
    const { home, installDir, env } = this.#options;
    this.#mounter ??= findMounter({
      env,
      folder: installDir,
      broughtFolder: join(home, ".sky", "agent"),
      pins: this.#mounters,
      acceptsOld: this.#acceptsOld,
      signal: new AbortController().signal,
    }).catch((error: unknown) => {
      this.#mounter = undefined;
      throw error;
    });
    return this.#mounter;
  }

  #save(): void {
    const stored: StoredMounts = {
      mounts: [...this.#mounts.values()].map((mount) => mount.spec),
      mounters: this.#mounters,
    };
    writeFileAtomic(this.#path, `${JSON.stringify(stored, null, 2)}\n`, { mode: 0o600, isDurable: true });
  }
}

/** An older server does not say of which bucket its keys are. */
function isFor(lent: LentPlace, { bucket, prefix }: MountSpec): boolean {
  return (lent.bucket ?? bucket) === bucket && (lent.prefix ?? prefix) === prefix;
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** The innermost first. */
function byDepth(mounts: readonly BucketMount[]): readonly (readonly BucketMount[])[] {
  const depthOf = ({ path }: BucketMount): number => mounts.filter((other) => isBelow(path, other.path)).length;
  const levels = Map.groupBy(mounts, depthOf);
  return [...levels].sort(([one], [other]) => other - one).map(([, level]) => level);
}

function ending({ dest }: MountSpec): AgentPeerError {
  return new AgentPeerError("MOUNT_FAILED", `${dest} is not mounted: the node is being ended.`);
}

function isSame(one: MountSpec, other: MountSpec): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether one of them would send what the other left: rclone keeps its cache by bucket, prefix and how it reaches them. */
function isSamePlace(one: MountSpec, other: MountSpec): boolean {
  const placeOf = ({ scheme, bucket, prefix, region, endpoint, isReadOnly }: MountSpec): string =>
    JSON.stringify([scheme, bucket, prefix, region, endpoint, isReadOnly]);
  return placeOf(one) === placeOf(other);
}

function unsent(there: MountSpec, wanted: MountSpec, reasons: readonly string[]): AgentPeerError {
  const { dest } = there;
  const [why = `What was written to ${dest} is not all in ${uriOf(there)}.`] = reasons;
  return new AgentPeerError(
    "MOUNT_UNSENT",
    `${why.replace(/\.?$/u, ".")} Mounting ${uriOf(wanted)} there would lose it.`,
    {
      hint: `Mount to another path, launch with ${uriOf(there)} at ${dest} once more to have it sent, or give it up: sky down`,
    },
  );
}
