/** One process tree that the agent of a node looks after: the setup of a job on the node, or one rank of it. */
export interface TaskSpec {
  /** `<job id>-setup-<node>` or `<job id>-run-<rank>`; names the task's folder. */
  readonly id: string;
  /** The user's script. */
  readonly script: string;
  /** Exported in front of the script, in this order. */
  readonly env: Readonly<Record<string, string>>;
  /** Below the node's HOME; raw output is appended. */
  readonly logPath: string;
}

export interface TaskExit {
  /** Exit status as a shell reports it; null when the process went without leaving one. */
  readonly code: number | null;
  /** Whether the agent ended it. */
  readonly wasKilled: boolean;
  /** Whether it went with its machine, which was booted anew. */
  readonly hasRebooted?: boolean;
}

export function setupTaskId(jobId: number, node: number): string {
  return `${jobId}-setup-${node}`;
}

export function rankTaskId(jobId: number, rank: number): string {
  return `${jobId}-run-${rank}`;
}

/** The job a task belongs to. */
export function jobOfTask(id: string): number {
  return Number.parseInt(id, 10);
}

/** File of a rank's raw output in the job's `tasks` folder, on the node that runs it. `numNodes`: of the cluster. */
export function rankLogName(rank: number, node: number, numNodes: number): string {
  if (numNodes === 1) return "run.log";
  return node === 0 ? `${rank}-head.log` : `${rank}-worker${node}.log`;
}
