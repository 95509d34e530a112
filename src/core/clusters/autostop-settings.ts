import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { Hook } from "../../shared/agent/protocol.ts";
import { updateCluster } from "../../db/queries/clusters.ts";
import type { OperationContext } from "../operation.ts";
import type { Autostop } from "../resources/resources.ts";
import type { LifecycleHook } from "../task/task.ts";
import type { WireWaitFor } from "./bodies.ts";
import type { Cluster } from "./cluster.ts";

export interface AutostopSettings {
  /** Negative: off. */
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: WireWaitFor;
}

export interface AutostopFlags {
  readonly idle_minutes_to_autostop?: number | null | undefined;
  readonly down?: boolean | undefined;
  readonly wait_for?: WireWaitFor | null | undefined;
}

/** What the flags and the task's `autostop` ask for; undefined: leave the cluster's setting as it is. */
export function resolveAutostop(flags: AutostopFlags, task?: Autostop | false): AutostopSettings | undefined {
  const minutes = flags.idle_minutes_to_autostop ?? undefined;
  if (minutes === undefined && flags.down !== true) {
    if (task === undefined) return undefined;
    if (task === false) return { idleMinutes: -1, down: false, waitFor: "jobs_and_ssh" };
    return settings(task.idleMinutes ?? 0, task.down, flags.wait_for ?? task.waitFor);
  }
  const fromTask = task === false ? undefined : task;
  return settings(minutes ?? fromTask?.idleMinutes ?? 0, flags.down ?? false, flags.wait_for ?? fromTask?.waitFor);
}

function settings(minutes: number, down: boolean, waitFor: WireWaitFor | undefined): AutostopSettings {
  // The agent looks once a minute: nothing less can be kept.
  return { idleMinutes: minutes === 0 ? 1 : minutes, down, waitFor: waitFor ?? "jobs_and_ssh" };
}

/** Tells the agent and then the row. */
export async function applyAutostop(
  target: { readonly cluster: Cluster; readonly agent: AgentPeer; readonly hooks?: readonly LifecycleHook[] },
  wanted: AutostopSettings,
  context: OperationContext,
): Promise<void> {
  const { cluster, agent } = target;
  await context.effect("autostop", async (token) => {
    await agent.call(
      "set_autostop",
      { key: token, ...wanted, ...(target.hooks === undefined ? {} : { hooks: target.hooks.map(toHook) }) },
      { signal: context.signal },
    );
    await updateCluster(context.db, cluster.row.cluster_hash, {
      autostop: Math.max(-1, wanted.idleMinutes),
      to_down: wanted.idleMinutes >= 0 && wanted.down ? 1 : 0,
      wait_for: wanted.waitFor,
    });
  });
}

function toHook(hook: LifecycleHook): Hook {
  return { run: hook.run, events: hook.events, timeoutSeconds: hook.timeout };
}
