import { randomUUID } from "node:crypto";
import { systemClock } from "../shared/clock.ts";
import type { MethodHandlers } from "../shared/agent/peer-types.ts";
import type { AgentMethods } from "../shared/agent/protocol.ts";
import { powerOff, writePowerState } from "./autostop/power.ts";
import { runHooks } from "./autostop/hooks.ts";
import { dropStaleTasks } from "./cluster/stale-tasks.ts";
import { stayJoined } from "./cluster/dial-head.ts";
import { factsOf, listNodeInfos } from "./cluster/members.ts";
import { createWorkerMethods, createWorkerStreams } from "./cluster/worker-handlers.ts";
import type { StopNode } from "./cluster/worker-protocol.ts";
import type { NodeParts } from "./head.ts";
import { endMounts } from "./mounts/end-mounts.ts";
import { describeError } from "./node/agent-log.ts";
import { loadNodeConfig } from "./node/node-config.ts";
import { listenOnSocket } from "./rpc/listener.ts";
import { AGENT_VERSION } from "./version.ts";

/** Composes the agent of a worker: it joins the head and does what that asks. */
export async function startWorker({
  config,
  paths,
  node,
  runner,
  container,
  mounts,
  log,
  exit,
  bootId,
}: NodeParts): Promise<void> {
  const clock = systemClock;
  const leaving = new AbortController();
  const incarnation = randomUUID();
  const stop = async ({ hooks, hookEvent, power, container: fate }: StopNode): Promise<void> => {
    if (hookEvent !== undefined) {
      const onFailure = (_run: string, code: number): void => log.error("hook failed", { event: hookEvent, code });
      await runHooks(hookEvent, hooks, { directory: paths.hooks, bootId, node, onFailure });
    }
    await dropStaleTasks([], { runner, graceMs: 2000 });
    await endMounts(mounts, { forget: fate === "remove" }, log);
    const ending = fate === "remove" ? container.remove() : container.stop();
    await ending.catch((error: unknown) => log.error("container not ended", describeError(error)));
    if (power !== "none") writePowerState(paths.state, power, clock.now());
    if (power !== "none" && config.power === "poweroff") powerOff();
    exit();
  };
  const handlers = { node, stop };
  const dialing = stayJoined(
    {
      readConfig: () => loadNodeConfig(paths.config),
      methods: createWorkerMethods(handlers),
      streams: createWorkerStreams(handlers),
      onJoined: (jobIds) => dropStaleTasks(jobIds, { runner, graceMs: 10_000 }),
      clock,
      log,
      random: Math.random,
    },
    leaving.signal,
  );
  void dialing;
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
  await listenOnSocket({ root: paths.root, methods, streams: {}, log });
}
