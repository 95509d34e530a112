import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import type { NodeConfig, ShutdownParams, StatusResult } from "../shared/agent/protocol.ts";
import { systemClock } from "../shared/clock.ts";
import { Autostop } from "./autostop/autostop.ts";
import { factsOf, listNodeInfos, listRunNodes, listSchedulable, type Member } from "./cluster/members.ts";
import { EventLog } from "./jobs/job-events.ts";
import { JobQueue } from "./jobs/job-queue.ts";
import { JobSecrets } from "./jobs/job-secrets.ts";
import { JobStore } from "./jobs/job-store.ts";
import type { AgentLog } from "./node/agent-log.ts";
import type { LocalNode } from "./node/local-node.ts";
import type { AgentPaths } from "./node/paths.ts";
import { createMethods, createStreams } from "./rpc/handlers.ts";
import { listenOnSocket } from "./rpc/listener.ts";
import { Replies } from "./rpc/replies.ts";
import { AGENT_VERSION } from "./version.ts";

export interface NodeParts {
  readonly config: NodeConfig;
  readonly paths: AgentPaths;
  readonly node: LocalNode;
  readonly log: AgentLog;
  /** Ends this process, after answers under way have left. */
  readonly exit: () => void;
}

/** Composes the agent of the head: the queue, the workers' door, the socket. */
export async function startHead({ config, paths, node, log, exit }: NodeParts): Promise<void> {
  const clock = systemClock;
  const incarnation = randomUUID();
  const store = new JobStore(paths.jobsDb);
  const events = new EventLog();
  const members = (): readonly Member[] => [{ node, isAlive: true, facts: factsOf(config) }];
  const autostop = new Autostop(() => undefined);
  const queue = new JobQueue({
    config,
    paths,
    store,
    secrets: new JobSecrets(`${paths.root}/secrets`),
    events,
    runNodes: () => listRunNodes(members()),
    schedulableNodes: () => listSchedulable(members()),
    clock,
    log,
    onActivity: () => undefined,
  });
  const shutdown = async ({ jobs }: ShutdownParams): Promise<void> => {
    queue.close();
    if (jobs === "kill") await queue.failUnfinished();
    exit();
  };
  const status = (): StatusResult => ({
    lastActiveMs: clock.now(),
    isIdle: queue.activeCount === 0,
    autostop: null,
    isAutostopping: false,
    nodes: listNodeInfos(members()),
  });
  const handlers = {
    hello: () => ({
      version: AGENT_VERSION,
      incarnation,
      clusterName: config.clusterName,
      index: config.index,
      workerPort: 0,
      nodes: listNodeInfos(members()),
    }),
    status,
    queue,
    events,
    incarnation,
    paths,
    autostop,
    replies: new Replies(store, clock),
    nodes: () => members().map((member) => member.node),
    shutdown,
  };
  rmSync(paths.state, { force: true });
  queue.resume();
  await listenOnSocket({ root: paths.root, methods: createMethods(handlers), streams: createStreams(handlers), log });
}
