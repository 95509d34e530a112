import { join } from "node:path";

/** Where an agent keeps what. `root` is the agent's own, `home` the HOME of the tasks. */
export interface AgentPaths {
  readonly root: string;
  readonly home: string;
  readonly config: string;
  readonly lock: string;
  readonly pid: string;
  readonly log: string;
  readonly state: string;
  /** Boot in which an agent last ran. */
  readonly boot: string;
  readonly autostop: string;
  readonly workerPort: string;
  /** One folder per task: script, pid, exit code. */
  readonly tasks: string;
  /** Index of run.log of each job that is not finished. */
  readonly jobs: string;
  readonly jobsDb: string;
  readonly hooks: string;
  readonly workdir: string;
  readonly logs: string;
}

export function agentPaths(root: string, home: string): AgentPaths {
  return {
    root,
    home,
    config: join(root, "node.json"),
    lock: join(root, "agent.lock"),
    pid: join(root, "agent.pid"),
    log: join(root, "agent.log"),
    state: join(root, "state.json"),
    boot: join(root, "boot-id"),
    autostop: join(root, "autostop.json"),
    workerPort: join(root, "worker-port"),
    tasks: join(root, "tasks"),
    jobs: join(root, "jobs"),
    jobsDb: join(home, ".sky", "jobs.db"),
    hooks: join(home, ".sky", "hooks"),
    workdir: join(home, "sky_workdir"),
    logs: join(home, "sky_logs"),
  };
}

/** `~/sky_logs/…` as records show it → the real path. */
export function expandHome(path: string, home: string): string {
  if (path === "~") return home;
  return path.startsWith("~/") ? join(home, path.slice(2)) : path;
}
