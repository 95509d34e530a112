import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { SubmitParams } from "../../shared/agent/protocol.ts";
import { updateCluster } from "../../db/queries/clusters.ts";
import { workAgain } from "../agents/again.ts";
import type { OperationContext } from "../operation.ts";
import type { Resources } from "../resources/resources.ts";
import type { Task } from "../task/task.ts";
import type { Cluster } from "./cluster.ts";
import * as messages from "./messages.ts";
import { revealSecrets } from "./task-input.ts";

/** Seconds between SIGTERM and SIGKILL for ranks that must end. */
const GRACE_SECONDS = 10;

export interface Submission {
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
  readonly task: Task;
  /** The candidate that the cluster runs. */
  readonly resources: Resources;
  readonly runTimestamp: string;
  readonly withSetup: boolean;
  /** `exec` asks for the CPUs and memory that it names; a launch shares the node that was made for it. */
  readonly isExec: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly command: string | undefined;
}

/** Queues the job; the request's id is its key, so that it is queued once. Null when there is nothing to run. */
export async function submitJob(submission: Submission, context: OperationContext): Promise<number | null> {
  const { task, cluster, withSetup } = submission;
  const hasWork = (task.run !== undefined && task.run !== "") || (withSetup && task.setup !== undefined);
  if (!hasWork) {
    context.log.line("Run commands not specified or empty.");
    return null;
  }
  context.log.spin(messages.spinner("Submitting job"));
  const jobId = await context.effect("submit", async () => {
    const params = submitParams(submission, context);
    const work = (agent: AgentPeer) => agent.call("submit", params, { signal: context.signal });
    const { row } = cluster;
    return (await workAgain({ clusterName: row.name, agent: submission.agent, work }, context)).jobId;
  });
  if (submission.command !== undefined) {
    await updateCluster(context.db, cluster.row.cluster_hash, { last_use: submission.command });
  }
  context.log.line(messages.step(`Job submitted, ID: ${jobId}`));
  context.log.spinEnd();
  return jobId;
}

function submitParams(submission: Submission, context: OperationContext): SubmitParams {
  const { task, resources, withSetup } = submission;
  return {
    key: context.requestId,
    name: task.name ?? null,
    userHash: context.caller.userId,
    userName: context.caller.userName,
    runTimestamp: submission.runTimestamp,
    numNodes: task.numNodes,
    demand: demandOf(resources, submission.isExec),
    resourcesText: `${task.numNodes}x[${unitText(resources)}]`,
    ...(withSetup && task.setup !== undefined ? { setup: task.setup } : {}),
    ...(task.run === undefined ? {} : { run: task.run }),
    envs: task.envs,
    secrets: revealSecrets(task),
    metadata: submission.metadata,
    gracePeriodSeconds: GRACE_SECONDS,
  };
}

function demandOf(resources: Resources, isExec: boolean): SubmitParams["demand"] {
  const { accelerators, cpus, memory } = resources;
  return {
    ...(isExec && cpus !== undefined ? { cpus: Number.parseFloat(cpus) } : {}),
    ...(isExec && memory !== undefined && !memory.includes("x") ? { memoryGib: Number.parseFloat(memory) } : {}),
    accelerators: accelerators === undefined ? {} : { [accelerators.name]: accelerators.count },
  };
}

function unitText(resources: Resources): string {
  const { accelerators, cpus } = resources;
  return accelerators === undefined ? `CPU:${cpus ?? "1+"}` : `${accelerators.name}:${accelerators.count}`;
}
