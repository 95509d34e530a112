import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import { acquireFileLock } from "../platform/lock-file.ts";
import { processStartTime } from "../platform/process-identity.ts";
import type { NodeConfig } from "../shared/agent/protocol.ts";
import { systemClock } from "../shared/clock.ts";
import { OperationFailedError } from "../shared/errors.ts";
import { renewHookClaim } from "./autostop/hooks.ts";
import { NodeContainer } from "./container/node-container.ts";
import { startHead, type NodeParts } from "./head.ts";
import { NodeMounts } from "./mounts/node-mounts.ts";
import { createAgentLog, describeError, type AgentLog } from "./node/agent-log.ts";
import { openInside, type Inside } from "./inside/inside.ts";
import { readBootId } from "./node/proc.ts";
import { LocalNode } from "./node/local-node.ts";
import { loadNodeConfig } from "./node/node-config.ts";
import { agentPaths, type AgentPaths } from "./node/paths.ts";
import { baseEnvironment } from "./tasks/prologue.ts";
import { SshDoor, type SshDoorOptions } from "./ssh/ssh-door.ts";
import { TaskCgroups } from "./tasks/cgroups.ts";
import { TaskRunner } from "./tasks/task-runner.ts";
import { AGENT_VERSION } from "./version.ts";
import { startWorker } from "./worker.ts";

export interface DaemonOptions {
  /** Absolute path of the agent's own directory. */
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly exit: (code: number) => void;
}

/** Time for answers that are under way when the agent is told to end. */
const FLUSH_MS = 100;
/** How long a worker may be away before its jobs are given up. */
const WORKER_GRACE_MS = 60_000;

/** Runs the agent of a node. Throws when its configuration is wrong or another agent runs in the same root. */
export async function runDaemon({ root, env, exit }: DaemonOptions): Promise<void> {
  const config = loadNodeConfig(join(root, "node.json"));
  const paths = agentPaths(root, config.home);
  const lock = acquireFileLock(paths.lock);
  if (lock === undefined) {
    throw new OperationFailedError(`Another agent runs in ${root}.`, { hint: `Its pid is in ${paths.pid}.` });
  }
  mkdirSync(config.home, { recursive: true });
  const log = createAgentLog(paths.log);
  const startTime = processStartTime(process.pid);
  writeFileAtomic(paths.pid, `${process.pid} ${startTime ?? ""}\n`);
  log.info("agent starts", { version: AGENT_VERSION, node: config.index });
  // The terminal that started us may go; we stay.
  process.on("SIGHUP", () => log.info("hangup ignored"));
  process.on("uncaughtException", (error) => log.error("uncaught", describeError(error)));
  process.on("unhandledRejection", (error) => log.error("unhandled", describeError(error)));
  const bootId = readBootId();
  const hasRebooted = noteBoot(paths.boot, bootId);
  const created = createNode({ root, env, config, paths, log, hasRebooted });
  const { node, runner, container, mounts, inside, cgroups } = created;
  await mounts.resume();
  const leave = (): void => {
    log.info("agent ends");
    setTimeout(() => {
      cgroups?.close();
      lock.release();
      exit(0);
    }, FLUSH_MS);
  };
  renewHookClaim(paths.hooks, { bootId, wasStopped: existsSync(paths.state) });
  rmSync(paths.state, { force: true });
  const workerGraceMs = Number(env["SKYPILOT_AGENT_WORKER_GRACE_MS"] ?? WORKER_GRACE_MS);
  const parts = {
    config,
    paths,
    node,
    runner,
    container,
    mounts,
    inside,
    log,
    bootId,
    hasRebooted,
    workerGraceMs,
    exit: leave,
  };
  await (config.index === 0 ? startHead(parts) : startWorker(parts));
}

/** What the node can do: run tasks, in a container or not, mount buckets, let users in. */
function createNode(parts: {
  readonly root: string;
  readonly env: DaemonOptions["env"];
  readonly config: NodeConfig;
  readonly paths: AgentPaths;
  readonly log: AgentLog;
  readonly hasRebooted: boolean;
}): Pick<NodeParts, "node" | "runner" | "container" | "mounts" | "inside"> & {
  readonly cgroups: TaskCgroups | undefined;
} {
  const { root, env, config, paths, log, hasRebooted } = parts;
  const { index, home, power } = config;
  const clock = systemClock;
  const identity = createHash("sha256").update(root).digest("hex").slice(0, 12);
  const cgroups = TaskCgroups.open(identity);
  const ownEnv = baseEnvironment(env, home);
  const inside = openInside(config, { root, path: ownEnv["PATH"] ?? "" });
  const taskEnv = inside === undefined ? ownEnv : { ...ownEnv, PATH: inside.path };
  const container = new NodeContainer({ config, paths, env, clock });
  const common = { home, env: taskEnv, identity, clock };
  const runner = new TaskRunner({ ...common, hasRebooted, directory: paths.tasks, cgroups, container });
  const installDir = installFolder(process.argv[1] ?? "", home);
  const mounts = new NodeMounts({ ...common, root, installDir, mayUseSudo: power === "poweroff", log });
  const sessionEnv = { PATH: taskEnv["PATH"] ?? "", SKYPILOT_AGENT_TASK: `${identity}.ssh` };
  const sshDoor = openSshDoor(config, { root, env: ownEnv, sessionEnv, inside, container });
  const node = new LocalNode({ ...common, index, power, runner, container, sshDoor, mounts });
  return { node, runner, container, mounts, inside, cgroups };
}

/** Where this program was put by its hash, for all nodes of the machine; one that was started from elsewhere keeps to the node's HOME. */
function installFolder(program: string, home: string): string {
  const folder = dirname(program);
  return /^[0-9a-f]{16}$/u.test(basename(folder)) ? dirname(folder) : join(home, ".sky", "agent");
}

function openSshDoor(
  config: NodeConfig,
  options: Pick<SshDoorOptions, "env" | "sessionEnv"> & {
    readonly root: string;
    readonly inside: Inside | undefined;
    readonly container: NodeContainer;
  },
): SshDoor {
  const { root, inside, container, env, sessionEnv } = options;
  // Nodes run commands at each other; what else a login can do, users do with the cluster's own key.
  const nodes = inside === undefined ? [] : [`restrict,pty ${inside.identity.login.publicKey}`];
  return new SshDoor({
    directory: join(root, "sshd"),
    keys: [...(config.sshKeys ?? []), ...nodes],
    hostKey: inside?.identity.host.privateKey,
    env,
    sessionEnv,
    container: () => (container.isUsed ? container.enterCommand() : undefined),
  });
}

/** Whether the machine was booted since an agent last ran here. */
function noteBoot(path: string, bootId: string): boolean {
  const before = existsSync(path) ? readFileSync(path, "utf8") : bootId;
  if (before !== bootId || !existsSync(path)) writeFileAtomic(path, bootId);
  return before !== bootId;
}
