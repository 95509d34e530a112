import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import type { Hook, SetAutostopParams, StatusResult } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";

/** How often idleness is looked at. */
const TICK_MS = 20_000;
/** Waits are cut to this, so that a clock that was set is noticed. */
const MINUTE_MS = 60_000;

export interface AutostopOptions {
  /** File that carries the setting across restarts of the agent. */
  readonly path: string;
  /** The setting is void after a reboot. */
  readonly bootId: string;
  readonly clock: Clock;
  readonly hasJobs: () => boolean;
  /** Whether somebody is logged in on a node. */
  readonly hasTerminal: () => Promise<boolean>;
  /** Stops the cluster for good. */
  readonly stop: (setting: AutostopSetting) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export interface AutostopSetting {
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: SetAutostopParams["waitFor"];
  readonly hooks: readonly Hook[];
  readonly setAtMs: number;
  readonly bootId: string;
}

/** Stops the cluster when it has been idle for as long as its user said. */
export class Autostop {
  readonly #options: AutostopOptions;
  #setting: AutostopSetting | undefined;
  #lastActiveMs: number;
  #wasIdle = false;
  #isStopping = false;
  #isHeld = false;
  #wake = new AbortController();

  constructor(options: AutostopOptions) {
    this.#options = options;
    this.#lastActiveMs = options.clock.now();
    this.#setting = loadSetting(options.path, options.bootId);
  }

  /** The setting is on the disk when this returns. Absent hooks stay what they were. */
  set(params: SetAutostopParams): void {
    const { clock, bootId, path } = this.#options;
    const { idleMinutes, down, waitFor, hooks = this.#setting?.hooks ?? [] } = params;
    this.#setting = { idleMinutes, down, waitFor, hooks, setAtMs: clock.now(), bootId };
    writeFileAtomic(path, JSON.stringify(this.#setting), { mode: 0o600 });
    this.touch();
  }

  /** Somebody else ends the cluster: it does not stop itself until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  /** The cluster was not ended after all. */
  release(): void {
    this.#isHeld = false;
  }

  /** Something happened on the cluster: the idle time starts again. */
  touch(): void {
    this.#lastActiveMs = this.#options.clock.now();
    if (this.#active() !== null) this.#wakeUp();
  }

  get hooks(): readonly Hook[] {
    return this.#setting?.hooks ?? [];
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  status(): Pick<StatusResult, "lastActiveMs" | "isIdle" | "autostop" | "isAutostopping"> {
    const setting = this.#active();
    return {
      lastActiveMs: this.#lastActiveMs,
      isIdle: this.#wasIdle && !this.#options.hasJobs(),
      autostop: setting && { idleMinutes: setting.idleMinutes, down: setting.down, waitFor: setting.waitFor },
      isAutostopping: this.#isStopping,
    };
  }

  /** Looks again and again until it stops the cluster or the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isStopping) {
      try {
        await this.check();
      } catch (error) {
        this.#options.onError(error);
      }
      const sleep = { signal: AbortSignal.any([signal, this.#wake.signal]) };
      await this.#options.clock.sleep(this.#pauseMs(), sleep).catch(() => undefined);
    }
  }

  /** Looks once, and stops the cluster when it is time. */
  async check(): Promise<void> {
    const setting = this.#active();
    const { clock, hasJobs, hasTerminal } = this.#options;
    const isBusy = hasJobs() || (setting?.waitFor === "jobs_and_ssh" && (await hasTerminal()));
    this.#wasIdle = !isBusy;
    if (isBusy) this.#lastActiveMs = clock.now();
    // The setting may have changed while we looked.
    if (setting === null || setting !== this.#setting || this.#isStopping || this.#isHeld) return;
    if (clock.now() < this.#dueMs(setting)) return;
    this.#isStopping = true;
    await this.#options.stop(setting);
  }

  #active(): AutostopSetting | null {
    return this.#setting !== undefined && this.#setting.idleMinutes >= 0 ? this.#setting : null;
  }

  #dueMs(setting: AutostopSetting): number {
    const since = setting.waitFor === "none" ? setting.setAtMs : this.#lastActiveMs;
    return since + setting.idleMinutes * MINUTE_MS;
  }

  #pauseMs(): number {
    const setting = this.#active();
    if (setting === null) return TICK_MS;
    const untilDue = this.#dueMs(setting) - this.#options.clock.now();
    return Math.min(TICK_MS, Math.max(untilDue, this.#wasIdle || setting.waitFor === "none" ? 1 : TICK_MS));
  }

  #wakeUp(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }
}

function loadSetting(path: string, bootId: string): AutostopSetting | undefined {
  let setting: AutostopSetting;
  try {
    setting = JSON.parse(readFileSync(path, "utf8")) as AutostopSetting;
  } catch {
    // Never set, or cut off by a crash before the answer was given.
    return undefined;
  }
  return setting.bootId === bootId ? setting : { ...setting, idleMinutes: -1 };
}
