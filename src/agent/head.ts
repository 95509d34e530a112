import { randomUUID } from "node:crypto";
import type { NodeConfig, NodeInfo, ShutdownParams } from "../shared/agent/protocol.ts";
import { systemClock } from "../shared/clock.ts";
import { Autostop, type AutostopOptions } from "./autostop/autostop.ts";
import { hasTerminal } from "./autostop/terminals.ts";
import { openHeadDoor } from "./cluster/head-door.ts";
import {
  factsOf,
  listInsideNodes,
  listNodeInfos,
  listRunNodes,
  listSchedulable,
  type Member,
} from "./cluster/members.ts";
import { MemberStore } from "./cluster/member-store.ts";
import { dropStaleTasks } from "./cluster/stale-tasks.ts";
import { RemoteNode } from "./cluster/remote-node.ts";
import { EventLog } from "./jobs/job-events.ts";
import { JobQueue } from "./jobs/job-queue.ts";
import { rebootedText } from "./jobs/job-text.ts";
import { JobSecrets } from "./jobs/job-secrets.ts";
import { JobStore } from "./jobs/job-store.ts";
import type { NodeContainer } from "./container/node-container.ts";
import type { NodeMounts } from "./mounts/node-mounts.ts";
import { describeError, type AgentLog } from "./node/agent-log.ts";
import type { LocalNode } from "./node/local-node.ts";
import type { AgentPaths } from "./node/paths.ts";
import { watchOwnNotices } from "./preemption/own-notices.ts";
import { Preemptions } from "./preemption/preemptions.ts";
import { createMethods, createStreams } from "./rpc/handlers.ts";
import { listenOnSocket } from "./rpc/listener.ts";
import { Replies } from "./rpc/replies.ts";
import { Teardown } from "./teardown.ts";
import { serveSsh } from "./ssh/ssh-door.ts";
import type { HeadStreams } from "./cluster/worker-protocol.ts";
import type { Inside } from "./inside/inside.ts";
import { AgentPeerError } from "../shared/agent/peer-error.ts";
import type { StreamHandlers } from "../shared/agent/peer-types.ts";
import type { TaskRunner } from "./tasks/task-runner.ts";
import { AGENT_VERSION } from "./version.ts";

export interface NodeParts {
  readonly config: NodeConfig;
  readonly paths: AgentPaths;
  readonly node: LocalNode;
  readonly runner: TaskRunner;
  readonly container: NodeContainer;
  readonly mounts: NodeMounts;
  readonly inside: Inside | undefined;
  readonly log: AgentLog;
  readonly bootId: string;
  /** Whether the machine was booted since an agent last ran here. */
  readonly hasRebooted: boolean;
  /** How long a worker may be away before its jobs are given up. */
  readonly workerGraceMs: number;
  /** Ends this process, after answers under way have left. */
  readonly exit: () => void;
}

/** For tasks whose jobs ended while no agent ran. */
const STALE_GRACE_MS = 10_000;

/** Composes the agent of the head: the queue, the workers' door, the socket. */
export async function startHead(parts: NodeParts): Promise<void> {
  const { config, paths, log } = parts;
  const incarnation = randomUUID();
  const store = new JobStore(paths.jobsDb);
  const events = new EventLog();
  const preemptions = new Preemptions(events);
  const workers = createWorkers(parts, { events, preemptions }, () => {
    tellNodes(parts, members(), workers);
    queue.kick();
  });
  const self: Member = { node: parts.node, isAlive: true, facts: factsOf(config) };
  const members = (): readonly Member[] => [self, ...workers.values()];
  const infos = (): NodeInfo[] => listNodeInfos(members(), (index) => preemptions.of(index));
  tellNodes(parts, members(), workers);
  const autostop = openAutostop(parts, workers, {
    hasJobs: () => queue.activeCount > 0 || teardown.isFlushing,
    stop: (setting) => teardown.stopSelf(setting),
  });
  const queue: JobQueue = new JobQueue({
    config,
    paths,
    store,
    secrets: new JobSecrets(`${paths.root}/secrets`),
    events,
    runNodes: () => listRunNodes(members()),
    schedulableNodes: () => listSchedulable(members()),
    clock: systemClock,
    log,
    onActivity: () => autostop.touch(),
  });
  const teardown = new Teardown({ ...parts, workers, queue, autostop, events });
  // Jobs do not outlive the machine, queued ones included.
  if (parts.hasRebooted) await queue.failUnfinished(rebootedText({ index: 0, ip: config.ip }));
  queue.resume();
  void dropStaleTasks(queue.runningJobIds(), { runner: parts.runner, graceMs: STALE_GRACE_MS });
  const workerPort = await openDoor(parts, { workers, members, preemptions, teardown, queue });
  const handlers = {
    hello: () => ({
      version: AGENT_VERSION,
      incarnation,
      clusterName: config.clusterName,
      index: config.index,
      workerPort,
      nodes: infos().filter((info) => info.isAlive),
    }),
    status: () => ({ ...autostop.status(), nodes: infos() }),
    queue,
    events,
    incarnation,
    paths,
    autostop,
    replies: new Replies(store, systemClock),
    nodes: () => members().map((member) => member.node),
    download: parts.node.download.bind(parts.node),
    shutdown: (params: ShutdownParams) => teardown.shutdown(params),
    flushWorkers: teardown.flushWorkers.bind(teardown),
  };
  await listenOnSocket({ root: paths.root, methods: createMethods(handlers), streams: createStreams(handlers), log });
  void autostop.run(new AbortController().signal);
  void watchHead(parts, preemptions, teardown);
}

function watchHead(parts: NodeParts, preemptions: Preemptions, teardown: Teardown): Promise<void> {
  return watchOwnNotices(parts, (notice) => {
    preemptions.note(0, notice);
    if (notice.kind === "interruption") void teardown.runLastHooks();
  });
}

function openAutostop(
  { config, paths, bootId, log }: NodeParts,
  workers: ReadonlyMap<number, RemoteNode>,
  acts: Pick<AutostopOptions, "hasJobs" | "stop">,
): Autostop {
  return new Autostop({
    ...acts,
    path: paths.autostop,
    bootId,
    clock: systemClock,
    hasTerminal: () => isSomebodyLoggedIn(config, workers),
    onError: (error) => log.error("autostop check failed", describeError(error)),
  });
}

/** Every node knows how the others are logged in to. */
function tellNodes({ inside }: NodeParts, members: readonly Member[], workers: ReadonlyMap<number, RemoteNode>): void {
  const nodes = listInsideNodes(members);
  inside?.update(nodes);
  for (const worker of workers.values()) worker.tellNodes(nodes);
}

function createWorkers(
  parts: NodeParts,
  { events, preemptions }: { readonly events: EventLog; readonly preemptions: Preemptions },
  onChange: () => void,
): ReadonlyMap<number, RemoteNode> {
  const { config, paths, log } = parts;
  const memberStore = new MemberStore(`${paths.root}/members.json`);
  const workers = new Map<number, RemoteNode>();
  for (let index = 1; index < config.numNodes; index += 1) {
    const facts = memberStore.find(index);
    const worker: RemoteNode = new RemoteNode({
      index,
      ...(facts === undefined ? {} : { facts }),
      graceMs: parts.workerGraceMs,
      clock: systemClock,
      endOf: () => preemptions.endOf(index, systemClock.now()),
      onChange: (isAlive, reason) => {
        log.info("worker", { index, isAlive, reason });
        if (worker.facts !== undefined) memberStore.save(worker.facts);
        events.add({ type: "node", index, isAlive, reason });
        onChange();
      },
    });
    workers.set(index, worker);
  }
  return workers;
}

interface Cluster {
  readonly workers: ReadonlyMap<number, RemoteNode>;
  readonly members: () => readonly Member[];
  readonly preemptions: Preemptions;
  readonly teardown: Teardown;
  readonly queue: JobQueue;
}

function openDoor(parts: NodeParts, cluster: Cluster): Promise<number> {
  const { workers, members, preemptions, teardown, queue } = cluster;
  const { config, paths, log } = parts;
  if (workers.size === 0) return Promise.resolve(0);
  const runningJobIds = (): readonly number[] => queue.runningJobIds();
  const streams: StreamHandlers<HeadStreams> = {
    ssh: ({ node: index }, stream) => {
      const found = members().find(({ node }) => node.index === index);
      if (found === undefined) throw new AgentPeerError("BAD_PARAMS", `This cluster has no node ${index}.`);
      return serveSsh(found.node, stream);
    },
  };
  const lastHooks = (): ReturnType<Teardown["lastHooks"]> => teardown.lastHooks();
  const port = { config, portPath: paths.workerPort, log };
  return openHeadDoor({ ...port, workers, preemptions, runningJobIds, lastHooks, streams });
}

async function isSomebodyLoggedIn(config: NodeConfig, workers: ReadonlyMap<number, RemoteNode>): Promise<boolean> {
  // On a machine that is not the cluster's own, logins say nothing about the cluster.
  if (config.power === "leave") return false;
  if (hasTerminal()) return true;
  const answers = await Promise.allSettled(Array.from(workers.values(), (worker) => worker.hasTerminal()));
  return answers.some((answer) => answer.status === "fulfilled" && answer.value);
}
