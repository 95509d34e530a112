import { ClusterNotUpError } from "../../shared/errors.ts";
import { warnAboutSession } from "../check/sessions.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { LifecycleHook } from "../task/task.ts";
import { applyAutostop, requireAutostop } from "./autostop-settings.ts";
import type { AutostopBody } from "./bodies.ts";
import { requireCluster } from "./cluster.ts";
import { yellow } from "./messages.ts";
import { checkOwner } from "./owner.ts";

const HOOK_TIMEOUT_SECONDS = 3600;

export const autostopOperation: Operation<AutostopBody, null> = {
  name: "clusters.autostop",
  wireName: "autostop",
  schedule: "short",
  isResumable: true,
  run: runAutostop,
};

async function runAutostop(body: AutostopBody, context: OperationContext): Promise<null> {
  const name = body.cluster_name;
  const cluster = await requireCluster(context.db, name);
  await checkOwner(cluster, context);
  const { status } = cluster.row;
  const isCancel = body.idle_minutes < 0;
  const down = body.down ?? false;
  const what = isCancel ? "Cancelling autostop" : `Scheduling ${down ? "autodown" : "autostop"}`;
  if (status !== "UP") {
    const doing = isCancel ? "cancelled" : "set";
    throw new ClusterNotUpError(
      `${yellow(`${what} on cluster '${name}'... skipped.`)}\n  Autostop can be ${doing} only on an UP cluster; its status is ${status}.`,
      { hint: status === "STOPPED" ? `To start it, run: sky start ${name}` : `See: sky status ${name}` },
    );
  }
  const cloud = await context.clouds.load(cluster.row.cloud);
  if (!isCancel && !down) {
    const skipped = yellow(`${what} on cluster '${name}'...skipped.`);
    requireAutostop(cluster.offer, cloud, skipped);
  }
  const agent = await context.agents.connect(name, { signal: context.signal });
  const wanted = {
    // 0 means "as soon as idle", for which a minute is the agent's measure.
    idleMinutes: body.idle_minutes === 0 ? 1 : body.idle_minutes,
    down,
    waitFor: body.wait_for ?? ("jobs_and_ssh" as const),
  };
  const hooks = hooksOf(body);
  await applyAutostop({ cluster, agent, ...(hooks === undefined ? {} : { hooks }) }, wanted, context);
  await warnAboutSession(cluster, { ...wanted, startsJob: false }, context);
  return null;
}

function hooksOf(body: AutostopBody): readonly LifecycleHook[] | undefined {
  if (typeof body.hook !== "string") return undefined;
  const event = body.down === true ? "down" : "stop";
  return [{ run: body.hook, events: [event], timeout: body.hook_timeout ?? HOOK_TIMEOUT_SECONDS }];
}
