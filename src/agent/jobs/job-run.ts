import type { JobStatus, NodeConfig } from "../../shared/agent/protocol.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import { isDiskFull, withSpace } from "../node/disk-full.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import type { ClusterNode } from "../node/cluster-node.ts";
import { rankLogName, rankTaskId, setupTaskId, type TaskExit, type TaskSpec } from "../tasks/task-types.ts";
import type { RunLog } from "../logs/run-log.ts";
import { flushMounts } from "./flush-mounts.ts";
import { watchMounts } from "./watch-mounts.ts";
import type { JobPlacement, StoredJob } from "./job-store.ts";
import { runEnv, setupEnv, type JobEnvOptions } from "./job-env.ts";
import {
  goneText,
  rebootedText,
  failedText,
  lostText,
  rankPrefix,
  setupFailedText,
  setupPrefix,
  STARTED_TEXT,
  waitingText,
  type FailedSetup,
} from "./job-text.ts";

/** What a run needs to know of a node of the cluster. */
export interface RunNode {
  readonly node: ClusterNode;
  readonly ip: string;
  readonly deviceIndices: readonly number[] | undefined;
}

export interface JobRunOptions {
  readonly job: StoredJob;
  readonly placement: JobPlacement;
  readonly config: Pick<NodeConfig, "clusterName" | "clusterInfo" | "numNodes">;
  /** All nodes of the cluster, by index. */
  readonly nodes: readonly RunNode[];
  /** The task's envs and secrets. */
  readonly values: Readonly<Record<string, string>>;
  readonly openLog: () => Promise<RunLog>;
  /** Stores a new status; false when the job had left the one before. */
  readonly move: (to: JobStatus, exitCodes?: readonly number[]) => boolean;
  readonly clock: Clock;
  readonly log: AgentLog;
}

interface PlannedTask {
  readonly node: RunNode;
  readonly spec: TaskSpec;
  readonly prefix: (pid: number) => string;
}
interface TaskResult {
  readonly pid: number;
  readonly exit: TaskExit;
  /** Why the task has no exit code of its own. */
  readonly lost?: string;
}

const NO_SPACE = "no space is left on the node's disk.";
/** Exit code of a rank that the agent ended. */
const KILLED_CODE = 137;
const NO_BYTES = new Uint8Array(0);

/**
 * One job from the moment it has its nodes to its end. Every step may be repeated: a new agent makes a new JobRun from what is stored, which
 * finds the tasks that run or ended meanwhile.
 */
export class JobRun {
  readonly #options: JobRunOptions;
  readonly #planned: readonly PlannedTask[];
  readonly #abort = new AbortController();
  #beganMs = 0;
  readonly #flushing = new AbortController();
  #endAs: JobStatus | undefined;
  #killing: Promise<unknown> = Promise.resolve();
  /** Resolves with the job's final state stored and nothing of it running. */
  readonly done: Promise<void>;

  constructor(options: JobRunOptions) {
    this.#options = options;
    this.#planned = [...this.#planSetup(), ...this.#planRanks()];
    this.done = this.#run();
  }

  get jobId(): number {
    return this.#options.job.record.jobId;
  }

  get placement(): JobPlacement {
    return this.#options.placement;
  }

  /** Ends the job from outside; resolves when its processes are gone and the state is stored. */
  async end(as: "CANCELLED" | "FAILED_DRIVER", graceMs: number): Promise<void> {
    if (this.#endAs === undefined) {
      this.#endAs = as;
      this.#flushing.abort();
      this.#killing = this.#killTasks(this.#planned, graceMs);
    }
    await this.#killing;
    await this.done;
  }

  async #run(): Promise<void> {
    // The caller must hold the object before anything happens.
    await Promise.resolve();
    try {
      await this.#execute(await this.#options.openLog());
    } catch (error) {
      this.#options.log.error("job failed in the agent", { job: this.jobId, ...describeError(error) });
      await this.#killTasks(this.#planned, 0);
      await this.#move("FAILED_DRIVER");
    }
    this.#abort.abort();
  }

  async #execute(log: RunLog): Promise<void> {
    const { job, clock } = this.#options;
    this.#beganMs = clock.now();
    await this.#appendStep(log, "waiting", waitingText(job.spec.numNodes));
    await this.#appendStep(log, "started", STARTED_TEXT);
    const setups = this.#planned.filter((task) => task.spec.id.includes("-setup-"));
    const ranks = this.#planned.filter((task) => task.spec.id.includes("-run-"));
    if (job.record.status === "SETTING_UP") {
      const isReady = await this.#setUp(log, setups);
      if (!isReady || ranks.length === 0) return;
      await this.#move("RUNNING");
    }
    const results = await this.#watchingMounts(log, () => this.#runGang(log, ranks));
    const unsent = await this.#flushMounts(log);
    const lost = results.find((result) => result.lost !== undefined)?.lost;
    const codes = results.map((result) => exitCodeOf(result.exit));
    if (this.#endAs !== undefined) await this.#finishEnded();
    else if (lost !== undefined) await this.#fail(log, lost);
    else if (codes.every((code) => code === 0)) await this.#finishWritten(log, unsent, codes);
    else {
      await this.#appendStep(log, "failed", failedText(this.jobId, codes));
      await this.#finish(log, "FAILED", codes);
    }
  }

  /** True when the ranks may start. */
  async #setUp(log: RunLog, tasks: readonly PlannedTask[]): Promise<boolean> {
    const results = await Promise.all(tasks.map((task) => this.#runTask(log, task)));
    if (this.#endAs !== undefined) {
      await this.#finishEnded();
      return false;
    }
    const lost = results.find((result) => result.lost !== undefined)?.lost;
    if (lost !== undefined) {
      await this.#fail(log, lost);
      return false;
    }
    const failed = results.map(({ pid, exit }): FailedSetup => ({ pid, code: exitCodeOf(exit) }));
    if (failed.some(({ code }) => code !== 0)) {
      const listed = failed.filter(({ code }) => code !== 0);
      await this.#appendStep(log, "failed", setupFailedText(this.jobId, listed));
      await this.#finish(
        log,
        "FAILED_SETUP",
        failed.map(({ code }) => code),
      );
      return false;
    }
    if (this.#options.job.spec.run !== undefined) return true;
    const unsent = await this.#flushMounts(log);
    if (this.#endAs === undefined) await this.#finishWritten(log, unsent, []);
    else await this.#finishEnded();
    return true;
  }

  /** Runs all ranks; when one fails, the others get TERM, the grace period, then KILL. */
  async #runGang(log: RunLog, ranks: readonly PlannedTask[]): Promise<readonly TaskResult[]> {
    let isFailing = false;
    return Promise.all(
      ranks.map((task) =>
        this.#runTask(log, task, (isFailed) => {
          if (!isFailed || isFailing) return;
          isFailing = true;
          const siblings = ranks.filter((other) => other !== task);
          void this.#killTasks(siblings, this.#options.job.spec.gracePeriodSeconds * 1000);
        }),
      ),
    );
  }

  async #runTask(log: RunLog, task: PlannedTask, onExit?: (isFailed: boolean) => void): Promise<TaskResult> {
    const { node, spec } = task;
    const { signal } = this.#abort;
    let pid = 0;
    try {
      pid = await node.node.startTask(spec);
      const exit = node.node.waitTask(spec.id, { signal });
      exit.then(
        ({ code }) => onExit?.(code !== 0),
        () => onExit?.(true),
      );
      await this.#copyOutput(log, task, pid);
      return this.#noteLoss({ pid, exit: await exit }, task);
    } catch (error) {
      onExit?.(true);
      if (error instanceof AgentPeerError && error.agentCode === "NOT_ALLOWED") {
        return { pid, exit: { code: KILLED_CODE, wasKilled: true } };
      }
      const lost = isDiskFull(error) ? NO_SPACE : error instanceof Error ? error.message : String(error);
      this.#options.log.error("task lost", { task: spec.id, ...describeError(error) });
      return { pid, exit: { code: null, wasKilled: false }, lost };
    }
  }

  async #copyOutput(log: RunLog, { node, spec, prefix }: PlannedTask, pid: number): Promise<void> {
    const { offset, isEnded } = log.sourceState(spec.id);
    if (isEnded) return;
    const source = log.openSource(spec.id, prefix(pid));
    const { signal } = this.#abort;
    try {
      for await (const chunk of node.node.tailTask(spec.id, { logPath: spec.logPath, offset, signal })) {
        let bytes: Uint8Array = chunk;
        await this.#patiently(() => {
          const pushed = bytes;
          // Once taken in, the bytes are held by the source, also when it cannot write them yet.
          bytes = NO_BYTES;
          source.push(pushed);
        });
      }
    } finally {
      await this.#patiently(() => source.end());
    }
  }

  async #watchingMounts<T>(log: RunLog, work: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    const watching = watchMounts({
      nodes: [...new Set(this.#planned.map(({ node }) => node.node))],
      clock: this.#options.clock,
      signal: over.signal,
      say: (step, text) => this.#appendStep(log, step, text),
    });
    try {
      return await work();
    } finally {
      over.abort();
      await watching;
    }
  }

  /** A job ends when what it has written is where it belongs. */
  async #flushMounts(log: RunLog): Promise<readonly string[]> {
    const unsent = await flushMounts({
      nodes: [...new Set(this.#planned.map(({ node }) => node.node))],
      clock: this.#options.clock,
      sinceMs: this.#beganMs,
      signal: this.#flushing.signal,
      say: (step, text) => this.#appendStep(log, step, text),
      onError: (error) => this.#options.log.error("mounts not flushed", { job: this.jobId, ...describeError(error) }),
    });
    for (const [index, reason] of unsent.entries()) {
      await this.#appendStep(log, `unsent-${index}`, lostText(this.jobId, reason));
    }
    return unsent;
  }

  /** Programs that all went well have not when what they wrote is lost. */
  #finishWritten(log: RunLog, unsent: readonly string[], codes: readonly number[]): Promise<void> {
    return unsent.length === 0 ? this.#finish(log, "SUCCEEDED") : this.#finish(log, "FAILED", codes);
  }

  /** A full disk delays the log; it does not end the job. */
  #patiently<T>(action: () => T): Promise<T> {
    const { clock, log } = this.#options;
    return withSpace(action, { clock, onFull: () => log.error("disk full", { job: this.jobId }) });
  }

  #appendStep(log: RunLog, step: string, text: string): Promise<void> {
    return this.#patiently(() => log.appendStep(step, text));
  }

  #move(to: JobStatus, exitCodes?: readonly number[]): Promise<boolean> {
    return this.#patiently(() => this.#options.move(to, exitCodes));
  }

  /** Stores the final state, after the log is complete. */
  async #finish(log: RunLog, to: JobStatus, exitCodes?: readonly number[]): Promise<void> {
    await this.#patiently(() => log.flush());
    await this.#move(to, exitCodes);
  }

  async #fail(log: RunLog, reason: string): Promise<void> {
    await this.#killTasks(this.#planned, 0);
    await this.#appendStep(log, "failed", lostText(this.jobId, reason));
    await this.#finish(log, "FAILED_DRIVER");
  }

  async #finishEnded(): Promise<void> {
    await this.#killing;
    await this.#move(this.#endAs ?? "CANCELLED");
  }

  async #killTasks(tasks: readonly PlannedTask[], graceMs: number): Promise<void> {
    await Promise.all(
      tasks.map(async ({ node, spec }) => {
        try {
          await node.node.killTask(spec.id, graceMs);
        } catch (error) {
          // A worker that is away: it is told which tasks to end when it comes back.
          this.#options.log.error("cannot end a task", { task: spec.id, ...describeError(error) });
        }
      }),
    );
  }

  #planSetup(): PlannedTask[] {
    const { job, placement, nodes } = this.#options;
    const { setup } = job.spec;
    if (setup === undefined) return [];
    const nodeIps = nodes.map((node) => node.ip);
    return placement.setupNodes.flatMap((index) => {
      const node = nodes[index];
      if (node === undefined) return [];
      const env = setupEnv(this.#envOptions(), { index, nodeIps });
      const spec = {
        id: setupTaskId(this.jobId, index),
        script: setup,
        env,
        logPath: `${this.#logDir()}/tasks/setup.log`,
      };
      return [{ node, spec, prefix: (pid) => setupPrefix(this.#prefixOptions(node, pid)) }];
    });
  }

  #planRanks(): PlannedTask[] {
    const { job, placement, nodes } = this.#options;
    const { run } = job.spec;
    if (run === undefined) return [];
    const nodeIps = placement.grants.map((grant) => nodes[grant.node]?.ip ?? "");
    return placement.grants.flatMap((grant, rank) => {
      const node = nodes[grant.node];
      if (node === undefined) return [];
      const { deviceIndices } = node;
      const env = runEnv(this.#envOptions(), { rank, nodeIps, grant, deviceIndices });
      const file = rankLogName(rank, grant.node, this.#clusterNodes);
      const spec = { id: rankTaskId(this.jobId, rank), script: run, env, logPath: `${this.#logDir()}/tasks/${file}` };
      return [{ node, spec, prefix: (pid) => rankPrefix(rank, this.#prefixOptions(node, pid)) }];
    });
  }

  #envOptions(): JobEnvOptions {
    const { job, values, config } = this.#options;
    return { jobId: this.jobId, spec: job.spec, values, config };
  }

  /** A task that went without an exit code, and not because we ended it, was killed from outside or went with its machine. */
  #noteLoss(result: TaskResult, { node, spec }: PlannedTask): TaskResult {
    const { code, wasKilled, hasRebooted } = result.exit;
    if (code !== null || wasKilled) return result;
    const { index } = node.node;
    const address = { index, ip: node.ip };
    const what = spec.id.includes("-setup-") ? "the setup" : `rank ${spec.id.split("-")[2]}`;
    const lost = hasRebooted === true ? rebootedText(address) : goneText(result.pid, what, address);
    return { ...result, lost };
  }

  #prefixOptions(node: RunNode, pid: number): Parameters<typeof setupPrefix>[0] {
    const { index } = node.node;
    return { taskName: this.#options.job.record.name, numNodes: this.#clusterNodes, node: { index, ip: node.ip }, pid };
  }

  get #clusterNodes(): number {
    const { placement, config } = this.#options;
    return placement.clusterNodes ?? config.numNodes;
  }

  #logDir(): string {
    return this.#options.job.record.logDir.replace(/^~\//, "");
  }
}

function exitCodeOf({ code, wasKilled }: TaskExit): number {
  return wasKilled ? KILLED_CODE : (code ?? KILLED_CODE);
}
