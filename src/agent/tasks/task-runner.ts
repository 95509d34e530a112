import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { rm, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import { hasInEnvironment } from "../node/proc.ts";
import type { TaskCgroups } from "./cgroups.ts";
import { killTree } from "./kill-tree.ts";
import { isVariableName, renderTaskScript } from "./prologue.ts";
import type { TaskExit, TaskSpec } from "./task-types.ts";

/**
 * Stays between the agent and bash so that the exit code outlives the agent. `set -C` makes the pid file a claim: whatever the agent
 * repeats after a crash, the script runs once. The trap is a handler, which children do not inherit: a TERM to the session ends the
 * script but not this shell. Arguments: the task's folder, its log, its control group or nothing, where its errors go, the command.
 */
const WRAPPER = `folder=$1 log=$2 group=$3 errors=$4; shift 4
set -C
echo $$ > "$folder/pid" || exit 125
set +C
trap : TERM INT HUP QUIT
[ -z "$group" ] || echo $$ 2>/dev/null >"$group/cgroup.procs"
"$@" </dev/null >>"$log" 2>>"$errors"
code=$?
echo $code > "$folder/exit"
exit $code`;
/** How long what is outside of a container may take to notice that everything inside has ended. */
const NOTICE_MS = 3000;
const NOTICE_GAP_MS = 50;
/** How often a process is looked at that is not our child (one that an earlier agent started). */
const ADOPTED_POLL_MS = 100;

export interface TaskRunnerOptions {
  /** Folder with one folder per task. */
  readonly directory: string;
  readonly home: string;
  /** Environment in which tasks start. */
  readonly env: Readonly<Record<string, string>>;
  /** Tells this agent's tasks from those of others on the machine. */
  readonly identity: string;
  readonly clock: Clock;
  /** Whether the machine was booted since an agent last ran here. */
  readonly hasRebooted?: boolean;
  /** Where tasks get control groups of their own, when this user may make them. */
  readonly cgroups?: TaskCgroups | undefined;
  /** Where tasks run, when that is not the machine itself. */
  readonly container?: TaskContainer | undefined;
}

/** What the runner asks of the node's container. */
export interface TaskContainer {
  readonly isUsed: boolean;
  ensureRunning(): Promise<void>;
  scriptCommand(
    id: string,
    variables: Readonly<Record<string, string>>,
  ): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };
  kill(marker: string, graceMs: number): Promise<void>;
}

interface Task {
  readonly pid: number;
  readonly exited: Promise<TaskExit>;
  isOver: boolean;
}

/** Runs tasks on this node: starts them once, notices their end, ends them; also those that an earlier agent started. */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #tasks = new Map<string, Task>();

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  /** Starts a task, or finds the one that was started before. Answers with the pid of its session. */
  async start(spec: TaskSpec): Promise<number> {
    assertTaskId(spec.id);
    const known = this.#tasks.get(spec.id) ?? this.#adopt(spec.id);
    if (known !== undefined) return known.pid;
    const directory = this.#directoryOf(spec.id);
    if (this.#wasKilled(spec.id)) throw new AgentPeerError("NOT_ALLOWED", `Task ${spec.id} was cancelled.`);
    const bad = Object.entries(spec.env).find(([name, value]) => !isVariableName(name) || value.includes("\0"));
    if (bad !== undefined) throw new AgentPeerError("BAD_PARAMS", `${JSON.stringify(bad[0])} cannot be a variable.`);
    const { home, container } = this.#options;
    if (container?.isUsed === true) await container.ensureRunning();
    const logPath = join(home, spec.logPath);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mkdirSync(dirname(logPath), { recursive: true });
    mkdirSync(join(home, "sky_workdir"), { recursive: true });
    writeFileAtomic(join(directory, "script.sh"), renderTaskScript(spec.script, spec.env), { mode: 0o600 });
    writeFileSync(logPath, "", { flag: "a" });
    return this.#spawn(spec.id, directory, logPath);
  }

  /** Resolves when the task is over. Rejects with JOB_NOT_FOUND when it was never started. */
  wait(id: string): Promise<TaskExit> {
    const task = this.#tasks.get(id) ?? this.#adopt(id);
    if (task !== undefined) return task.exited;
    return Promise.reject(new AgentPeerError("JOB_NOT_FOUND", `Task ${id} was not started on this node.`));
  }

  /** True from the moment at which the task's own process has ended. */
  isOver(id: string): boolean {
    return (this.#tasks.get(id) ?? this.#adopt(id))?.isOver ?? true;
  }

  /** Ends the task's whole tree and keeps it from starting. Resolves when nothing of it is left. */
  async kill(id: string, graceMs: number): Promise<void> {
    assertTaskId(id);
    const directory = this.#directoryOf(id);
    const task = this.#tasks.get(id) ?? this.#adopt(id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (task === undefined || !task.isOver) writeFileSync(join(directory, "killed"), "");
    const pids = task !== undefined && !task.isOver ? [task.pid] : [];
    const { clock, cgroups } = this.#options;
    const roots = (): readonly number[] => [...pids, ...(cgroups?.members(id) ?? [])];
    if (this.#options.container?.isUsed === true) await this.#killInside(id, task, graceMs);
    await killTree({ marker: this.#markerOf(id), roots, graceMs, clock });
    await task?.exited;
  }

  /**
   * Ends the task in the container, whose processes this user may not be allowed to end from outside. Repeated until the command outside
   * has ended as well, because it may have been about to start something inside.
   */
  async #killInside(id: string, task: Task | undefined, graceMs: number): Promise<void> {
    const { clock, container } = this.#options;
    await container?.kill(this.#markerOf(id), graceMs);
    const isOver = (): boolean => task === undefined || task.isOver;
    for (const deadline = clock.now() + NOTICE_MS; !isOver() && clock.now() < deadline;) {
      await clock.sleep(NOTICE_GAP_MS);
      if (!isOver()) await container?.kill(this.#markerOf(id), 0);
    }
  }

  /** Forgets a finished task and removes its folder, the script with its secrets included. */
  async forget(id: string): Promise<void> {
    const isKnown = this.#tasks.delete(id);
    this.#options.cgroups?.remove(id);
    const directory = this.#directoryOf(id);
    // Off the event loop: on a busy disk this takes longer than all the rest of a short job.
    if (isKnown) await Promise.allSettled(["script.sh", "pid", "exit"].map((name) => unlink(join(directory, name))));
    await rmdir(directory).catch(() => rm(directory, { recursive: true, force: true }));
  }

  /** Ids of all tasks that have a folder. */
  list(): string[] {
    return readdirSync(this.#options.directory);
  }

  #spawn(id: string, directory: string, logPath: string): Promise<number> {
    const [name, value] = this.#marker(id);
    const { container } = this.#options;
    const inside = container?.isUsed === true ? container.scriptCommand(id, { [name]: value }) : undefined;
    // Processes in a container are not ours to put into groups.
    const cgroup = inside === undefined ? (this.#options.cgroups?.create(id) ?? "") : "";
    // What the engine itself has to say belongs into the log; a bash on the machine only complains about the missing terminal.
    const errors = inside === undefined ? "/dev/null" : logPath;
    const command = inside?.argv ?? ["/bin/bash", "-i", join(directory, "script.sh")];
    const child = spawn("/bin/sh", ["-c", WRAPPER, "sky-task", directory, logPath, cgroup, errors, ...command], {
      cwd: this.#options.home,
      env: { ...(inside?.env ?? this.#options.env), [name]: value },
      detached: true,
      stdio: "ignore",
    });
    child.unref();
    return new Promise((resolve, reject) => {
      child.once("error", (error) => {
        reject(new AgentPeerError("INTERNAL", `Cannot start a process: ${error.message}`, { cause: error }));
      });
      const { pid } = child;
      if (pid === undefined) return;
      const ended = Promise.withResolvers<TaskExit>();
      const task: Task = { pid, exited: ended.promise, isOver: false };
      this.#tasks.set(id, task);
      child.once("exit", (code) => {
        const claimed = this.#readNumber(id, "pid");
        if (claimed !== undefined && claimed !== pid) {
          // A task that an earlier agent had just started won the claim.
          this.#tasks.delete(id);
          const other = this.#adopt(id);
          if (other !== undefined) void other.exited.then(ended.resolve);
          return;
        }
        task.isOver = true;
        ended.resolve({ code: this.#readNumber(id, "exit") ?? code, wasKilled: this.#wasKilled(id) });
      });
      resolve(pid);
    });
  }

  #adopt(id: string): Task | undefined {
    const pid = this.#readNumber(id, "pid");
    if (pid === undefined) return undefined;
    const ended = Promise.withResolvers<TaskExit>();
    const task: Task = { pid, exited: ended.promise, isOver: false };
    this.#tasks.set(id, task);
    const look = (): boolean => {
      // The exit code is written just before the end: without one, the process itself is asked, by what only it carries.
      const code = this.#readNumber(id, "exit");
      if (code === undefined && hasInEnvironment(pid, this.#markerOf(id))) return false;
      task.isOver = true;
      const { hasRebooted = false } = this.#options;
      ended.resolve({ code: this.#readNumber(id, "exit") ?? null, wasKilled: this.#wasKilled(id), hasRebooted });
      return true;
    };
    if (!look()) void this.#poll(look);
    return task;
  }

  async #poll(look: () => boolean): Promise<void> {
    do await this.#options.clock.sleep(ADOPTED_POLL_MS);
    while (!look());
  }

  #wasKilled(id: string): boolean {
    return readText(join(this.#directoryOf(id), "killed")) !== undefined;
  }

  /** A number that a shell wrote; undefined until the line is complete. */
  #readNumber(id: string, name: "pid" | "exit"): number | undefined {
    const text = readText(join(this.#directoryOf(id), name));
    return text?.endsWith("\n") === true ? Number(text) : undefined;
  }

  #marker(id: string): readonly [string, string] {
    return ["SKYPILOT_AGENT_TASK", `${this.#options.identity}.${id}`];
  }

  #markerOf(id: string): string {
    return this.#marker(id).join("=");
  }

  #directoryOf(id: string): string {
    return join(this.#options.directory, id);
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Ids become folder names and come over the network. */
function assertTaskId(id: string): void {
  if (!/^\d+-(setup|run)-\d+$/.test(id)) throw new AgentPeerError("BAD_PARAMS", `${JSON.stringify(id)} is not a task.`);
}
