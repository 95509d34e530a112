import { findCluster } from "../../db/queries/clusters.ts";
import { ClusterNotUpError, InvalidValueError } from "../../shared/errors.ts";
import { warnAboutSession } from "../check/sessions.ts";
import { connectSoon } from "../agents/again.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { ExecBody } from "./bodies.ts";
import { requireUpCluster } from "./cluster.ts";
import { submittedResult, type LaunchResult } from "./launch-result.ts";
import { refuseReserved } from "./launch.ts";
import * as messages from "./messages.ts";
import { checkOwner } from "./owner.ts";
import { checkFit } from "./plan.ts";
import { runTimestamp } from "./provision-log.ts";
import { submitJob } from "./submit.ts";
import { findStandingMounts, refuseCopiesInto } from "../storage/standing-mounts.ts";
import { requireSources, syncWorkdir, type FileSync } from "./sync-files.ts";
import { readTask } from "./task-input.ts";
import { lockCluster } from "./waiting.ts";

export const execOperation: Operation<ExecBody, LaunchResult> = {
  name: "clusters.exec",
  wireName: "exec",
  schedule: "long",
  isResumable: true,
  run: runExec,
};

async function runExec(body: ExecBody, context: OperationContext): Promise<LaunchResult> {
  const name = body.cluster_name;
  refuseReserved(body, "Executing task on it is not allowed.");
  const { task } = readTask(body.task, context);
  if (body.dryrun === true) {
    context.log.line("Dryrun finished.");
    return { job_id: null, handle: null };
  }
  // Whoever launches or starts the cluster goes first; jobs do not wait for each other.
  if ((await context.locks.findHolder(name)) !== undefined) (await lockCluster(name, context))();
  if ((await findCluster(context.db, name))?.status === "AUTOSTOPPING") {
    throw new ClusterNotUpError(
      `Cannot execute on cluster '${name}': cluster is autostopping. Please wait for autostop to complete, then use \`sky start ${name}\` to restart.`,
    );
  }
  const cluster = await requireUpCluster(context.db, name, "Executing a task");
  await requireSources({ workdir: task.workdir, fileMounts: {} }, context);
  await checkOwner(cluster, context);
  const candidate = checkFit(cluster, task);
  const resources = task.resources.candidates[candidate];
  if (resources === undefined) throw new InvalidValueError("The task has no resources.");
  const agent = await connectSoon(name, context);
  // Its name must not change when the request goes on after a restart: jobs are told apart by it.
  const timestamp = await context.effect("begin", () => Promise.resolve(runTimestamp(context.clock.now())));
  const metadata = await syncOwnWorkdir({ cluster, agent, task, runTimestamp: timestamp }, context);
  const { autostop, to_down: down } = cluster.row;
  await warnAboutSession(cluster, { idleMinutes: autostop, down: down !== 0, startsJob: true }, context);
  const jobId = await submitJob(
    {
      cluster,
      agent,
      task,
      resources,
      runTimestamp: timestamp,
      withSetup: false,
      isExec: true,
      metadata,
      command: body.entrypoint_command,
    },
    context,
  );
  return submittedResult(cluster, jobId, context);
}

/** Of a task's files only the workdir goes to nodes. */
async function syncOwnWorkdir(
  sync: Omit<FileSync, "standing">,
  context: OperationContext,
): Promise<Readonly<Record<string, unknown>>> {
  const { workdir } = sync.task;
  if (workdir === undefined) return {};
  const standing = await findStandingMounts(sync.cluster, sync.agent, context);
  refuseCopiesInto(standing, { workdir, fileMounts: {}, storageMounts: {} });
  context.log.line(messages.step("Syncing files."));
  return syncWorkdir({ ...sync, standing }, context);
}
