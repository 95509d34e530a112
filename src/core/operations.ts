import { NotAvailableYetError } from "../shared/errors.ts";
import type { Operation } from "./operation.ts";
import type * as bodies from "./clusters/bodies.ts";

function pending<Body, Result>(
  wireName: string,
  schedule: "long" | "short",
  isResumable: boolean,
): Operation<Body, Result> {
  return {
    name: `clusters.${wireName}`,
    wireName,
    schedule,
    isResumable,
    run: () => Promise.reject(new NotAvailableYetError(`${wireName} is not available yet.`)),
  };
}

/** Every operation that a request can name, by its wire name. */
export const operations = {
  launch: pending<bodies.LaunchBody, unknown>("launch", "long", true),
  exec: pending<bodies.ExecBody, unknown>("exec", "long", true),
  status: pending<bodies.StatusBody, unknown>("status", "short", false),
  queue: pending<bodies.QueueBody, unknown>("queue", "short", false),
  job_status: pending<bodies.JobStatusBody, unknown>("job_status", "short", false),
  cancel: pending<bodies.CancelBody, unknown>("cancel", "short", false),
  stop: pending<bodies.StopOrDownBody, unknown>("stop", "short", true),
  start: pending<bodies.StartBody, unknown>("start", "long", true),
  autostop: pending<bodies.AutostopBody, unknown>("autostop", "short", true),
  down: pending<bodies.StopOrDownBody, unknown>("down", "short", true),
  endpoints: pending<bodies.EndpointsBody, unknown>("endpoints", "short", false),
  cost_report: pending<bodies.CostReportBody, unknown>("cost_report", "short", false),
  cluster_events: pending<bodies.ClusterEventsBody, unknown>("cluster_events", "short", false),
  check: pending<bodies.CheckBody, unknown>("check", "short", false),
  enabled_clouds: pending<bodies.EnabledCloudsBody, unknown>("enabled_clouds", "short", false),
  optimize: pending<bodies.OptimizeBody, unknown>("optimize", "short", false),
  download_logs: pending<bodies.DownloadLogsBody, unknown>("download_logs", "short", false),
} as const satisfies Record<string, Operation<never, unknown>>;
