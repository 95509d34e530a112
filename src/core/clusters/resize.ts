import { AgentError, NotSupportedError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { LaunchPlan } from "./plan.ts";

/**
 * Prepares a cluster for another number of nodes: its head agent ends and leaves the jobs running; the one that is started next
 * knows of the new nodes and takes the jobs over. Nodes go only when no job runs.
 */
export async function prepareResize(clusterName: string, plan: LaunchPlan, context: OperationContext): Promise<void> {
  if (plan.numNodes === plan.previousNumNodes || plan.previousStatus === "STOPPED") return;
  await context.effect("resize", async (key) => {
    const { signal } = context;
    try {
      const agent = await context.agents.connect(clusterName, { signal });
      if (plan.numNodes < plan.previousNumNodes) {
        const { jobs } = await agent.call("queue", { skipFinished: true }, { signal });
        if (jobs.length > 0)
          throw jobsRunning(
            clusterName,
            jobs.map((job) => job.jobId),
          );
      }
      await agent.call("shutdown", { key, jobs: "keep" }, { signal });
      await agent.closed;
    } catch (error) {
      // An agent that is gone need not be ended.
      if (!(error instanceof AgentError)) throw error;
    }
    context.agents.drop(clusterName);
  });
}

function jobsRunning(clusterName: string, ids: readonly number[]): NotSupportedError {
  return new NotSupportedError(
    `Cannot scale down: ${ids.length} job(s) still running (IDs: ${ids.join(", ")}). Cancel them first with: sky cancel ${clusterName} -a`,
  );
}
