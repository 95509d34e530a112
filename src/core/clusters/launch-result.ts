import type { Plan } from "../../shared/wire/plan.ts";
import type { OperationContext } from "../operation.ts";
import { whyNoStop, type Cluster } from "./cluster.ts";
import { toHandle, type Handle } from "./record.ts";

export interface LaunchResult {
  readonly job_id: number | null;
  /** Null for a dry run only. */
  readonly handle: Handle | null;
  /** Of a dry run for a new cluster. */
  readonly plan?: Plan;
  /** Whether the cluster can be stopped and started again; absent for a dry run. */
  readonly can_stop?: boolean;
}

/** What those get to know who have submitted a job. */
export async function submittedResult(
  cluster: Cluster,
  jobId: number | null,
  context: OperationContext,
): Promise<LaunchResult> {
  const { cloud: name, region, zone } = cluster.row;
  const cloud = await context.clouds.load(name);
  return {
    job_id: jobId,
    handle: toHandle(cluster, cloud.wireInfra(region, zone)),
    can_stop: whyNoStop(cloud, cluster.offer, "no node can") === undefined,
  };
}
