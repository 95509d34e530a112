import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { AgentError, NotSupportedError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import { greet } from "../provision/renew.ts";
import { launchSpinner, lostWithNode } from "./messages.ts";
import type { LaunchPlan } from "./plan.ts";
import { listWrittenPlaces } from "./upload-wait.ts";

/**
 * Prepares a cluster for another number of nodes: its head agent ends and leaves the jobs running; the one that is started next
 * knows of the new nodes and takes the jobs over. Nodes go only when no job runs, and after what they wrote to buckets has been sent.
 */
export async function prepareResize(clusterName: string, plan: LaunchPlan, context: OperationContext): Promise<void> {
  const isSmaller = plan.numNodes < plan.previousNumNodes;
  if (isSmaller) await context.effect("resize.flush", () => flushSurplus(clusterName, plan, context));
  if (plan.numNodes === plan.previousNumNodes || plan.previousStatus === "STOPPED") return;
  await context.effect("resize", async (key) => {
    const { signal } = context;
    try {
      const agent = await context.agents.connect(clusterName, { signal });
      // A job may have come during the uploads.
      if (isSmaller) await refuseUnderJobs(clusterName, agent, signal);
      await agent.call("shutdown", { key, jobs: "keep" }, { signal });
      await agent.closed;
    } catch (error) {
      // An agent that is gone need not be ended.
      if (!(error instanceof AgentError)) throw error;
    }
    context.agents.drop(clusterName);
  });
}

/** Waits for the uploads of the nodes that go, and says what is lost with them. */
async function flushSurplus(clusterName: string, plan: LaunchPlan, context: OperationContext): Promise<void> {
  const { signal, log } = context;
  const places = await listWrittenPlaces(plan.clusterHash, context);
  if (places.length === 0) return;
  const warn = (reason: string): void =>
    log.line(`WARNING: ${reason} What was not uploaded yet of ${places.join(", ")} is lost with the nodes that go.`);
  if (plan.previousStatus === "STOPPED") {
    warn("Nodes that are stopped upload nothing.");
    return;
  }
  log.spin(launchSpinner("Launching - Uploading what nodes that go have written", clusterName));
  try {
    const agent = await context.agents.connect(clusterName, { signal });
    // One that hangs would be waited for until its connection counts as lost.
    await greet(agent, signal);
    await refuseUnderJobs(clusterName, agent, signal);
    const { lost = [] } = await agent.call("flush_workers", { from: plan.numNodes }, { signal });
    for (const one of lost) log.line(lostWithNode(one));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    warn(
      isOlder(error) ? "The cluster's agent is of an older release, which does not wait for uploads." : error.message,
    );
  }
}

function isOlder(error: AgentError): boolean {
  return error instanceof AgentPeerError && error.agentCode === "UNKNOWN_METHOD";
}

/** Throws NotSupportedError. */
async function refuseUnderJobs(clusterName: string, agent: AgentPeer, signal: AbortSignal): Promise<void> {
  const { jobs } = await agent.call("queue", { skipFinished: true }, { signal });
  if (jobs.length === 0) return;
  const ids = jobs.map((job) => job.jobId).join(", ");
  throw new NotSupportedError(
    `Cannot scale down: ${jobs.length} job(s) still running (IDs: ${ids}). Cancel them first with: sky cancel ${clusterName} -a`,
  );
}
