import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { Hook } from "../../shared/agent/protocol.ts";
import { updateCluster } from "../../db/queries/clusters.ts";
import { NotSupportedError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, NodeWish, Offer } from "../ports/cloud.ts";
import type { Autostop } from "../resources/resources.ts";
import type { LifecycleHook } from "../task/task.ts";
import type { WireWaitFor } from "./bodies.ts";
import { clusterRef, cloudContext, whyNoStop, type Cluster } from "./cluster.ts";

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

/** Throws NotSupportedError when idle nodes of the offer cannot be stopped, only taken down. */
export function requireAutostop(offer: Offer, cloud: Cloud, skipped = ""): void {
  const reason = whyNoStop(cloud, offer, `Autostop is not supported on ${cloud.displayName}.`);
  if (reason === undefined) return;
  throw new NotSupportedError(skipped === "" ? reason : `${skipped}\n  ${reason}`, {
    hint: "To take the cluster down when it is idle, add --down.",
  });
}

/** Tells the cloud, where nodes would be lost otherwise, the agent, and then the row. */
export async function applyAutostop(
  target: { readonly cluster: Cluster; readonly agent: AgentPeer; readonly hooks?: readonly LifecycleHook[] },
  wanted: AutostopSettings,
  context: OperationContext,
): Promise<void> {
  const { cluster, agent } = target;
  await preparePowerOff(cluster, wanted, context);
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

/**
 * Nodes that were launched to end when they power off must not do so once they are only to stop. The other way round nothing is
 * lost: whoever sees them stopped ends them.
 */
async function preparePowerOff({ row }: Cluster, wanted: AutostopSettings, context: OperationContext): Promise<void> {
  const wish = JSON.parse(row.node_wish) as Partial<Pick<NodeWish, "onPowerOff">>;
  if (wish.onPowerOff !== "terminate" || (wanted.down && wanted.idleMinutes >= 0)) return;
  const cloud = await context.clouds.load(row.cloud);
  if (cloud.setPowerOff === undefined) return;
  await context.effect("power-off", async () => {
    await cloud.setPowerOff?.(clusterRef(row), "stop", cloudContext(context));
    const node_wish = JSON.stringify({ ...wish, onPowerOff: "stop" });
    await updateCluster(context.db, row.cluster_hash, { node_wish });
  });
}

function toHook(hook: LifecycleHook): Hook {
  return { run: hook.run, events: hook.events, timeoutSeconds: hook.timeout };
}
