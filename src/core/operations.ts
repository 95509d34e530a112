import { listAcceleratorCountsOperation, listAcceleratorsOperation } from "./catalog/list-accelerators.ts";
import { liveGpusOperation, nodeInfoOperation } from "./catalog/live-gpus.ts";
import { budgetDeleteOperation, budgetListOperation, budgetSetOperation } from "./budgets/operations.ts";
import { catalogInfoOperation } from "./catalog/info.ts";
import { catalogUpdateOperation } from "./catalog/update.ts";
import { checkOperation, enabledCloudsOperation } from "./check/check.ts";
import { cloudCommandOperation } from "./check/cloud-command.ts";
import { orphansOperation } from "./clusters/orphans.ts";
import { cloudSessionsOperation } from "./check/sessions.ts";
import { autostopOperation } from "./clusters/autostop.ts";
import { costReportOperation } from "./clusters/cost-report.ts";
import { downloadLogsOperation } from "./clusters/download-logs.ts";
import { endpointsOperation } from "./clusters/endpoints.ts";
import { clusterEventsOperation } from "./clusters/events.ts";
import { execOperation } from "./clusters/exec.ts";
import { hookLogsOperation } from "./clusters/hook-logs.ts";
import { cancelOperation, jobStatusOperation, queueOperation } from "./clusters/jobs.ts";
import { launchOperation } from "./clusters/launch.ts";
import { startOperation } from "./clusters/start.ts";
import { statusOperation } from "./clusters/status.ts";
import { downOperation, stopOperation } from "./clusters/stop.ts";
import type { Operation } from "./operation.ts";
import { optimizeOperation } from "./optimizer/operation.ts";
import { storageDeleteOperation, storageListOperation } from "./storage/operations.ts";

/** Every operation that a request can name, by its wire name. */
export const operations = {
  launch: launchOperation,
  exec: execOperation,
  status: statusOperation,
  queue: queueOperation,
  job_status: jobStatusOperation,
  cancel: cancelOperation,
  stop: stopOperation,
  start: startOperation,
  autostop: autostopOperation,
  down: downOperation,
  endpoints: endpointsOperation,
  cost_report: costReportOperation,
  cluster_events: clusterEventsOperation,
  check: checkOperation,
  enabled_clouds: enabledCloudsOperation,
  cloud_sessions: cloudSessionsOperation,
  cloud_command: cloudCommandOperation,
  optimize: optimizeOperation,
  catalog_info: catalogInfoOperation,
  catalog_update: catalogUpdateOperation,
  list_accelerators: listAcceleratorsOperation,
  list_accelerator_counts: listAcceleratorCountsOperation,
  realtime_kubernetes_gpu_availability: liveGpusOperation,
  kubernetes_node_info: nodeInfoOperation,
  storage_ls: storageListOperation,
  storage_delete: storageDeleteOperation,
  download_logs: downloadLogsOperation,
  hook_logs: hookLogsOperation,
  budget_set: budgetSetOperation,
  budget_list: budgetListOperation,
  budget_delete: budgetDeleteOperation,
  orphans: orphansOperation,
} as const satisfies Record<string, Operation<never, unknown>>;
