import type { LostWithNode, ShutdownParams, ShutdownResult } from "../shared/agent/protocol.ts";
import { systemClock } from "../shared/clock.ts";
import type { Autostop, AutostopSetting } from "./autostop/autostop.ts";
import { chooseHooks, runHooks, type HookEvent } from "./autostop/hooks.ts";
import { powerOff, writePowerState } from "./autostop/power.ts";
import { askWorkers } from "./cluster/ask-workers.ts";
import type { RemoteNode } from "./cluster/remote-node.ts";
import type { StopNode } from "./cluster/worker-protocol.ts";
import type { NodeParts } from "./head.ts";
import type { EventLog } from "./jobs/job-events.ts";
import type { JobQueue } from "./jobs/job-queue.ts";
import { endMounts } from "./mounts/end-mounts.ts";
import { describeError } from "./node/agent-log.ts";
import { UnderWay } from "./rpc/under-way.ts";

/** For the server to hear what is lost. */
const LAST_WORD_MS = 1000;

interface TeardownOptions extends NodeParts {
  readonly workers: ReadonlyMap<number, RemoteNode>;
  readonly queue: JobQueue;
  readonly autostop: Autostop;
  readonly events: EventLog;
}

/** Ends the agents of the cluster, workers first. */
export class Teardown {
  readonly #options: TeardownOptions;
  readonly #underWay = new UnderWay<ShutdownResult>();
  #flushes = 0;

  constructor(options: TeardownOptions) {
    this.#options = options;
  }

  /**
   * On the server's word. `keep` ends only this process; its tasks go on and the next agent finds them. A server that asks again with the same
   * key, over another connection or after its own restart, joins the wait that goes on; with another key it says how long is waited from then on.
   */
  shutdown(params: ShutdownParams): Promise<ShutdownResult> {
    const { jobs, key, hookEvent, uploadWait } = params;
    this.#options.log.info("told to end", { jobs, hookEvent, uploadWait });
    return this.#underWay.join(key, () => (jobs === "kill" ? this.#endCluster(params) : this.#endAgent(params)));
  }

  async #endAgent({ hookEvent }: ShutdownParams): Promise<ShutdownResult> {
    const { queue, exit } = this.#options;
    queue.close();
    if (hookEvent !== undefined) await this.#runHooks(hookEvent);
    exit();
    return { lost: [] };
  }

  async #endCluster({ key, hookEvent, uploadWait }: ShutdownParams): Promise<ShutdownResult> {
    const { queue, autostop, exit } = this.#options;
    queue.close();
    // Uploads may take longer than the cluster may be idle.
    autostop.hold();
    try {
      if (hookEvent !== undefined) await this.#runHooks(hookEvent);
      await queue.failUnfinished();
      const fate = hookEvent === "stop" ? "stop" : "remove";
      const wait = uploadWait === undefined ? {} : { uploadWait };
      const lost = await this.#endNodes({ key, hooks: [], power: "none", container: fate, ...wait });
      exit();
      return { lost };
    } catch (error) {
      autostop.release();
      throw error;
    }
  }

  /** Whether somebody waits for uploads of workers, longer perhaps than the cluster may be idle. */
  get isFlushing(): boolean {
    return this.#flushes > 0;
  }

  /** Before the server removes the workers from an index on. It stops nothing: who has asked may think again. */
  async flushWorkers(from: number, signal: AbortSignal): Promise<ShutdownResult> {
    const { workers, mounts, log } = this.#options;
    this.#flushes += 1;
    try {
      const lost = await askWorkers({
        workers: [...workers.values()].filter(({ index }) => index >= from),
        ask: (worker) => worker.lastFlush(signal),
        places: mounts.writtenPlaces(),
        isKept: false,
        log,
      });
      return { lost };
    } finally {
      this.#flushes -= 1;
    }
  }

  /** By the cluster's own idle timer. */
  async stopSelf({ down, idleMinutes }: AutostopSetting): Promise<void> {
    const { queue, paths, config, exit, events, log } = this.#options;
    log.info("autostop", { down, idleMinutes });
    events.add({ type: "autostopping", down });
    const state = down ? "down" : "stopped";
    const hookEvent = down ? "down" : "stop";
    queue.close();
    await this.#runHooks(hookEvent);
    await queue.failUnfinished();
    const fate = down ? "remove" : "stop";
    const hooks = this.#hooksOf(hookEvent);
    const lost = await this.#endNodes({ hooks, hookEvent, power: state, container: fate });
    for (const one of lost) events.add({ type: "lost", ...one });
    // Once the machine is powered off nothing more gets out.
    if (lost.length > 0) await systemClock.sleep(LAST_WORD_MS);
    writePowerState(paths.state, state, systemClock.now());
    if (config.power === "poweroff") powerOff();
    exit();
  }

  /** What a node that its provider takes back runs first. */
  lastHooks(): ReturnType<typeof chooseHooks> {
    return this.#hooksOf("preemption");
  }

  /** Runs them on this node. */
  async runLastHooks(): Promise<void> {
    const { log } = this.#options;
    await this.#runHooks("preemption").catch((error: unknown) => log.error("hooks not run", describeError(error)));
  }

  /** Gives what is lost with them. */
  async #endNodes(params: StopNode): Promise<readonly LostWithNode[]> {
    const ended = await Promise.all([this.#endNode(params), this.#stopWorkers(params)]);
    return ended.flat();
  }

  async #endNode({ container: fate, uploadWait }: StopNode): Promise<readonly LostWithNode[]> {
    const { config, container, mounts, log } = this.#options;
    const lost = await endMounts(mounts, { forget: fate === "remove", uploadWait }, log);
    const work = fate === "stop" ? container.stop() : container.remove();
    await work.catch((error: unknown) => log.error("container not ended", describeError(error)));
    return lost.map((what) => ({ node: config.index, what }));
  }

  #hooksOf(event: HookEvent): ReturnType<typeof chooseHooks> {
    return chooseHooks(this.#options.autostop.hooks, event);
  }

  async #runHooks(event: HookEvent): Promise<void> {
    const { paths, bootId, node, log } = this.#options;
    const onFailure = (_run: string, code: number): void => log.error("hook failed", { event, code });
    await runHooks(event, this.#hooksOf(event), { directory: paths.hooks, bootId, node, onFailure });
  }

  async #stopWorkers(params: StopNode): Promise<readonly LostWithNode[]> {
    const { workers, mounts, log } = this.#options;
    return askWorkers({
      workers: [...workers.values()],
      ask: (worker) => worker.stopNode(params),
      // The head has not forgotten its own yet.
      places: mounts.writtenPlaces(),
      isKept: params.container === "stop",
      log,
    });
  }
}
