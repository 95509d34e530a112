import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type {
  CancelParams,
  JobRecord,
  JobStatus,
  NodeConfig,
  QueueParams,
  SubmitParams,
  SubmitResult,
} from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { RunLog } from "../logs/run-log.ts";
import { isDiskFull } from "../node/disk-full.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import { expandHome, type AgentPaths } from "../node/paths.ts";
import { DEFAULT_CPU_SHARE } from "./allocator.ts";
import type { EventLog } from "./job-events.ts";
import { JobRun, type RunNode } from "./job-run.ts";
import type { JobSecrets } from "./job-secrets.ts";
import type { JobPlacement, JobSpec, JobStore, StoredJob } from "./job-store.ts";
import { lostText, waitingText } from "./job-text.ts";
import { schedule, type Placement, type QueuedJob, type SchedulableNode } from "./scheduler.ts";
import { decideOnStart, isTerminal } from "./state.ts";
import { assertSubmit, withoutBlanks } from "./submit-params.ts";
import { rankLogName } from "../tasks/task-types.ts";

export interface JobQueueOptions {
  readonly config: NodeConfig;
  readonly paths: AgentPaths;
  readonly store: JobStore;
  readonly secrets: JobSecrets;
  readonly events: EventLog;
  /** All nodes of the cluster, by index, and what is free to schedule on. */
  readonly runNodes: () => readonly RunNode[];
  readonly schedulableNodes: () => readonly SchedulableNode[];
  readonly clock: Clock;
  readonly log: AgentLog;
  /** Called when a job starts, ends or is added. */
  readonly onActivity: () => void;
}

/** The cluster's jobs: takes them in, gives them nodes, runs them, ends them. Lives on the head. */
export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #queued = new Map<number, QueuedJob>();
  readonly #runs = new Map<number, JobRun>();
  readonly #logs = new Map<number, Promise<RunLog>>();
  #isKicked = false;
  #isClosed = false;

  constructor(options: JobQueueOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier agent left: queued jobs, and jobs whose tasks run or ended meanwhile. */
  resume(): void {
    const unfinished = this.#options.store.listUnfinished();
    this.#options.secrets.retain(unfinished.map((job) => job.spec.key));
    this.#removeLeftovers(new Set(unfinished.map((job) => String(job.record.jobId))));
    for (const job of unfinished) {
      this.#options.events.add({ type: "job", job: job.record });
      const decision = decideOnStart({ status: job.record.status, isPlaced: job.placement !== null });
      if (decision === "enqueue") this.#enqueue(job);
      else if (decision === "resume" && job.placement !== null) this.#start(job, job.placement);
      else if (decision === "fail") this.#move(job.record.jobId, job.record.status, "FAILED_DRIVER");
    }
    this.kick();
  }

  /** The job is on the disk when the answer is given. */
  async submit(params: SubmitParams): Promise<SubmitResult> {
    assertSubmit(params, this.#options.config.numNodes);
    const { envs, secrets, ...spec } = withoutBlanks(params);
    const known = this.#options.store.findByKey(params.key);
    if (known !== undefined) return toSubmitResult(known);
    if (this.#isClosed) throw new AgentPeerError("NOT_ALLOWED", "The cluster is stopping; it takes no jobs.");
    const job = this.#store(spec, { ...envs, ...secrets });
    try {
      (await this.openLog(job)).appendStep("waiting", waitingText(job.spec.numNodes));
    } catch (error) {
      // The job is in the queue and stays there; its run writes the line when it can.
      this.#options.log.error("cannot write the log", { job: job.record.jobId, ...describeError(error) });
      this.#logs.delete(job.record.jobId);
    }
    this.#options.events.add({ type: "job", job: job.record });
    this.#enqueue(job);
    this.#options.onActivity();
    this.kick();
    return toSubmitResult(job);
  }

  #store(spec: JobSpec, values: Readonly<Record<string, string>>): StoredJob {
    try {
      this.#options.secrets.save(spec.key, values);
      return this.#options.store.add(spec, this.#options.clock.now()).job;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new AgentPeerError("NO_SPACE", "No space is left on the head node's disk for the job.", {
        cause: error,
        hint: "Free space on the node's disk, then submit again.",
      });
    }
  }

  find(jobId: number | null): StoredJob | undefined {
    return jobId === null ? this.#options.store.findLatest() : this.#options.store.find(jobId);
  }

  list(params: QueueParams): readonly JobRecord[] {
    return this.#options.store.list(params).map((job) => job.record);
  }

  /** Jobs that are not finished. */
  get activeCount(): number {
    return this.#queued.size + this.#runs.size;
  }

  /** Tasks of these jobs are wanted; all others a worker may end. */
  runningJobIds(): readonly number[] {
    return [...this.#runs.keys()];
  }

  /** Ends jobs; resolves with their ids when their processes are gone. */
  async cancel(params: CancelParams): Promise<readonly number[]> {
    const targets = this.#chooseCancelled(params);
    const ended = await Promise.all(targets.map((job) => this.#end(job, "CANCELLED")));
    this.kick();
    return ended.flatMap((jobId) => (jobId === undefined ? [] : [jobId])).sort((a, b) => a - b);
  }

  /** Ends every job for good: the machine has been or is going to be stopped. The reason, if any, goes into their logs. */
  async failUnfinished(reason?: string): Promise<readonly number[]> {
    const jobs = this.#options.store.listUnfinished();
    const ended = await Promise.all(
      jobs.map(async (job) => {
        if (reason !== undefined) await this.#noteFailure(job, reason);
        return this.#end(job, "FAILED_DRIVER");
      }),
    );
    return ended.flatMap((jobId) => (jobId === undefined ? [] : [jobId]));
  }

  /** Takes no more jobs and starts none. */
  close(): void {
    this.#isClosed = true;
  }

  /** The log of a job that is not finished; the same object for everybody. */
  openLog(job: StoredJob): Promise<RunLog> {
    const { jobId, logDir } = job.record;
    let log = this.#logs.get(jobId);
    if (log === undefined) {
      const directory = expandHome(logDir, this.#options.paths.home);
      log = RunLog.open({
        path: join(directory, "run.log"),
        indexPath: this.#indexPath(jobId),
        readRaw: (task, from, to) => this.#readRaw(job, { task, from, to }),
      });
      this.#logs.set(jobId, log);
    }
    return log;
  }

  /** The open log of a job, for followers; undefined when the job is finished. */
  async findLog(jobId: number): Promise<RunLog | undefined> {
    const job = this.#options.store.find(jobId);
    return job === undefined || isTerminal(job.record.status) ? undefined : this.openLog(job);
  }

  /** Looks soon whether jobs can start. */
  kick(): void {
    if (this.#isKicked) return;
    this.#isKicked = true;
    setImmediate(() => {
      this.#isKicked = false;
      if (!this.#isClosed) this.#startWhatFits();
    });
  }

  #startWhatFits(): void {
    if (this.#queued.size === 0) return;
    const running = Array.from(this.#runs.values(), ({ jobId, placement }) => ({ jobId, grants: placement.grants }));
    const nodes = this.#options.schedulableNodes();
    for (const placement of schedule([...this.#queued.values()], running, nodes)) this.#startQueued(placement, nodes);
  }

  #startQueued({ jobId, grants }: Placement, nodes: readonly SchedulableNode[]): void {
    this.#queued.delete(jobId);
    const job = this.#options.store.find(jobId);
    if (job === undefined) return;
    const setupNodes = nodes.filter((node) => node.isAlive).map((node) => node.index);
    const placement = { grants, setupNodes, clusterNodes: this.#options.config.numNodes };
    const to = job.spec.setup === undefined ? "RUNNING" : "SETTING_UP";
    if (!this.#move(jobId, "PENDING", to, { placement })) return;
    this.#options.onActivity();
    this.#start({ ...job, record: { ...job.record, status: to } }, placement);
  }

  #start(job: StoredJob, placement: JobPlacement): void {
    const { jobId } = job.record;
    const run = new JobRun({
      job,
      placement,
      config: this.#options.config,
      nodes: this.#options.runNodes(),
      values: this.#options.secrets.load(job.spec.key),
      openLog: () => this.openLog(job),
      move: (to, exitCodes) => {
        const from = this.#options.store.find(jobId)?.record.status ?? "INIT";
        return !isTerminal(from) && this.#move(jobId, from, to, exitCodes === undefined ? {} : { exitCodes });
      },
      clock: this.#options.clock,
      log: this.#options.log,
    });
    this.#runs.set(jobId, run);
    const onDone = (): void => {
      this.#runs.delete(jobId);
      this.#options.onActivity();
      this.kick();
    };
    run.done.then(onDone, (error: unknown) => {
      this.#options.log.error("job's end cannot be stored", { job: jobId, ...describeError(error) });
      onDone();
    });
  }

  #move(
    jobId: number,
    from: JobStatus,
    to: JobStatus,
    changes: { placement?: JobPlacement; exitCodes?: readonly number[] } = {},
  ): boolean {
    const isMoved = this.#options.store.move(jobId, { from, to }, { nowMs: this.#options.clock.now(), ...changes });
    if (!isMoved) return false;
    const job = this.#options.store.find(jobId);
    if (job === undefined) return false;
    if (isTerminal(to)) this.#cleanUp(job);
    this.#options.events.add({ type: "job", job: job.record });
    return true;
  }

  #cleanUp(job: StoredJob): void {
    const { jobId } = job.record;
    this.#queued.delete(jobId);
    this.#logs.delete(jobId);
    this.#options.secrets.remove(job.spec.key);
    rmSync(this.#indexPath(jobId), { force: true });
    for (const { node } of this.#options.runNodes()) {
      node.forgetJob(jobId).catch((error: unknown) => {
        this.#options.log.error("cannot clean up a job", { job: jobId, node: node.index, ...describeError(error) });
      });
    }
  }

  #enqueue(job: StoredJob): void {
    const { demand, numNodes } = job.spec;
    // A job without run only sets up, on the CPU.
    const accelerators = job.spec.run === undefined ? {} : demand.accelerators;
    this.#queued.set(job.record.jobId, {
      jobId: job.record.jobId,
      numNodes,
      demand: { cpus: demand.cpus ?? DEFAULT_CPU_SHARE, memoryGib: demand.memoryGib ?? 0, accelerators },
    });
  }

  #chooseCancelled(params: CancelParams): StoredJob[] {
    const { store } = this.#options;
    const unfinished = store.listUnfinished().filter((job) => job.record.status !== "INIT");
    const mine = unfinished.filter((job) => params.userHash === undefined || job.record.userHash === params.userHash);
    if (params.jobIds !== undefined) {
      const wanted = new Set(params.jobIds);
      return unfinished.filter((job) => wanted.has(job.record.jobId));
    }
    if (params.all === true) return mine;
    return mine.filter((job) => job.record.status === "RUNNING").slice(-1);
  }

  async #noteFailure(job: StoredJob, reason: string): Promise<void> {
    const { jobId } = job.record;
    try {
      (await this.openLog(job)).appendStep("failed", lostText(jobId, reason));
    } catch (error) {
      // A full disk; the state says the rest.
      this.#options.log.error("the reason cannot be logged", { job: jobId, ...describeError(error) });
    }
  }

  /** The id when this call ended the job, undefined when it ended otherwise. */
  async #end(job: StoredJob, as: "CANCELLED" | "FAILED_DRIVER"): Promise<number | undefined> {
    const { jobId } = job.record;
    const run = this.#runs.get(jobId);
    if (run === undefined) {
      const status = this.#options.store.find(jobId)?.record.status;
      return status !== undefined && !isTerminal(status) && this.#move(jobId, status, as) ? jobId : undefined;
    }
    await run.end(as, job.spec.gracePeriodSeconds * 1000);
    return this.#options.store.find(jobId)?.record.status === as ? jobId : undefined;
  }

  async #readRaw(
    job: StoredJob,
    range: { readonly task: string; readonly from: number; readonly to: number },
  ): Promise<Uint8Array | undefined> {
    const place = findTaskLog(job, range.task, job.placement?.clusterNodes ?? this.#options.config.numNodes);
    const node = this.#options.runNodes()[place.node]?.node;
    try {
      return await node?.readRange(place.logPath, range.from, range.to);
    } catch (error) {
      this.#options.log.error("raw output cannot be read", { task: range.task, ...describeError(error) });
      return undefined;
    }
  }

  /** Files of jobs that ended while the agent could not clean up. */
  #removeLeftovers(unfinished: ReadonlySet<string>): void {
    const { jobs } = this.#options.paths;
    mkdirSync(jobs, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(jobs)) {
      if (!unfinished.has(name.replace(/\..*/, ""))) rmSync(join(jobs, name), { recursive: true, force: true });
    }
  }

  #indexPath(jobId: number): string {
    return join(this.#options.paths.jobs, `${jobId}.idx`);
  }
}

function toSubmitResult(job: StoredJob): SubmitResult {
  return { jobId: job.record.jobId, logDir: job.record.logDir };
}

/** Node and path of a task's raw output. */
function findTaskLog(job: StoredJob, task: string, numNodes: number): { node: number; logPath: string } {
  const [, kind, number] = task.split("-");
  const position = Number(number);
  const directory = `${job.record.logDir.replace(/^~\//, "")}/tasks`;
  if (kind === "setup") return { node: position, logPath: `${directory}/setup.log` };
  const node = job.placement?.grants[position]?.node ?? 0;
  return { node, logPath: `${directory}/${rankLogName(position, node, numNodes)}` };
}
