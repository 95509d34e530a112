import { randomUUID } from "node:crypto";
import { systemClock } from "../shared/clock.ts";
import { AgentPeerError } from "../shared/agent/peer-error.ts";
import type { MethodHandlers, StreamHandlers } from "../shared/agent/peer-types.ts";
import type { AgentMethods, AgentStreams } from "../shared/agent/protocol.ts";
import { powerOff, writePowerState } from "./autostop/power.ts";
import { runHooks, type HookEvent, type HookOptions } from "./autostop/hooks.ts";
import { CutOff, endTasks } from "./cluster/cut-off.ts";
import { dropStaleTasks } from "./cluster/stale-tasks.ts";
import { stayJoined } from "./cluster/dial-head.ts";
import { HeadLink } from "./cluster/head-link.ts";
import { factsOf, listNodeInfos } from "./cluster/members.ts";
import { createWorkerMethods, createWorkerStreams } from "./cluster/worker-handlers.ts";
import type { StoppedNode, StopNode } from "./cluster/worker-protocol.ts";
import type { NodeParts } from "./head.ts";
import { endMounts } from "./mounts/end-mounts.ts";
import type { InsideNode } from "./inside/files.ts";
import { openSshAt, serveSsh } from "./ssh/ssh-door.ts";
import { describeError } from "./node/agent-log.ts";
import type { LocalNode } from "./node/local-node.ts";
import { loadNodeConfig } from "./node/node-config.ts";
import { watchOwnNotices } from "./preemption/own-notices.ts";
import { listenOnSocket } from "./rpc/listener.ts";
import { UnderWay } from "./rpc/under-way.ts";
import { AGENT_VERSION } from "./version.ts";

/** Between the request to end and the end of tasks whose jobs are over. */
const STALE_GRACE_MS = 10_000;

/** Composes the agent of a worker: it joins the head and does what that asks. */
export async function startWorker(parts: NodeParts): Promise<void> {
  const { config, paths, node, runner, inside, log, exit } = parts;
  const leaving = new AbortController();
  const incarnation = randomUUID();
  const stops = new UnderWay<StoppedNode>();
  const stop = (params: StopNode): Promise<StoppedNode> => stops.join(params.key, () => stopNode(params, parts));
  const handlers = { node, stop, onNodes: (nodes: readonly InsideNode[]) => inside?.update(nodes) };
  const head = new HeadLink();
  const cutOff = new CutOff({
    graceMs: parts.workerGraceMs,
    clock: systemClock,
    onCutOff: async (silentMs) => {
      log.error("cut off from the head: ending the ranks that it has given up", { silentMs });
      await endTasks(runner, STALE_GRACE_MS);
    },
  });
  const dialing = stayJoined(
    {
      readConfig: () => loadNodeConfig(paths.config),
      methods: createWorkerMethods(handlers),
      streams: createWorkerStreams(handlers),
      preemption: () => head.announced,
      onPeer: (peer) => head.update(peer),
      onJoined: (jobIds) => dropStaleTasks(jobIds, { runner, graceMs: STALE_GRACE_MS }),
      cutOff,
      clock: systemClock,
      log,
      random: Math.random,
    },
    leaving.signal,
  );
  void dialing;
  void watchOwnNotices(parts, (notice) => {
    head
      .announce(config.index, notice)
      .then((hooks) => runHooks("preemption", hooks, hookOptions("preemption", parts)))
      .catch((error: unknown) => log.error("preemption not handled", describeError(error)));
  });
  const methods: MethodHandlers<AgentMethods> = {
    hello: async ({ protocol }) => ({
      protocol: Math.min(protocol, 1),
      version: AGENT_VERSION,
      incarnation,
      clusterName: config.clusterName,
      index: config.index,
      workerPort: 0,
      nodes: listNodeInfos([{ node, isAlive: true, facts: factsOf(config) }]),
    }),
    shutdown: async ({ jobs }) => {
      leaving.abort();
      if (jobs === "kill") await dropStaleTasks([], { runner, graceMs: 2000 });
      exit();
      return {};
    },
  };
  const streams = sshStreams(node, head);
  await listenOnSocket({ root: paths.root, methods, streams, log });
}

function hookOptions(event: HookEvent, { paths, bootId, node, log }: NodeParts): HookOptions {
  const onFailure = (_run: string, code: number): void => log.error("hook failed", { event, code });
  return { directory: paths.hooks, bootId, node, onFailure };
}

/** Ends this node with its cluster. */
async function stopNode(params: StopNode, parts: NodeParts): Promise<StoppedNode> {
  const { hooks, hookEvent, power, container: fate, uploadWait } = params;
  const { config, paths, runner, container, mounts, log, exit } = parts;
  if (hookEvent !== undefined) await runHooks(hookEvent, hooks, hookOptions(hookEvent, parts));
  await dropStaleTasks([], { runner, graceMs: 2000 });
  const lost = await endMounts(mounts, { forget: fate === "remove", uploadWait }, log);
  const ending = fate === "remove" ? container.remove() : container.stop();
  await ending.catch((error: unknown) => log.error("container not ended", describeError(error)));
  if (power !== "none") writePowerState(paths.state, power, systemClock.now());
  if (power !== "none" && config.power === "poweroff") powerOff();
  exit();
  return { lost };
}

/** Leads this node's tasks to the others, which only the head reaches. */
function sshStreams(own: LocalNode, head: HeadLink): StreamHandlers<Pick<AgentStreams, "ssh">> {
  return {
    ssh: async ({ node: index }, stream) => {
      if (index === own.index) return serveSsh(own, stream);
      const { peer } = head;
      if (peer === undefined) throw new AgentPeerError("NODE_UNREACHABLE", "The head node cannot be reached now.");
      const far = peer.open("ssh", { node: index }, { signal: stream.signal });
      return serveSsh({ openSsh: () => openSshAt(far) }, stream);
    },
  };
}
