import type { z } from "zod";
import type { ScheduleType } from "../../db/queries/requests.ts";
import { ApiCancelBody } from "../../shared/wire/api-cancel.ts";
import { BudgetDeleteBody, BudgetSetBody } from "../../shared/wire/budgets.ts";
import { AutostopBody } from "../../shared/wire/autostop.ts";
import { CancelBody } from "../../shared/wire/cancel.ts";
import { CheckBody } from "../../shared/wire/check.ts";
import { CatalogInfoBody, CatalogUpdateBody } from "../../shared/wire/catalog.ts";
import { CloudCommandBody } from "../../shared/wire/cloud-command.ts";
import { ClusterEventsBody } from "../../shared/wire/cluster-events.ts";
import { CommonBody } from "../../shared/wire/body-fields.ts";
import { CostReportBody } from "../../shared/wire/cost-report.ts";
import { DownBody } from "../../shared/wire/down.ts";
import { DownloadLogsBody } from "../../shared/wire/download-logs.ts";
import { EnabledCloudsBatchBody, EnabledCloudsBody } from "../../shared/wire/enabled-clouds.ts";
import { EndpointsBody } from "../../shared/wire/endpoints.ts";
import { ExecBody } from "../../shared/wire/exec.ts";
import { JobStatusBody } from "../../shared/wire/job-status.ts";
import { JobsQueueBody, PoolStatusBody } from "../../shared/wire/jobs.ts";
import { HookLogsBody } from "../../shared/wire/hook-logs.ts";
import { LaunchBody } from "../../shared/wire/launch.ts";
import { ListAcceleratorsBody } from "../../shared/wire/list-accelerators.ts";
import { LiveGpusBody, NodeInfoBody } from "../../shared/wire/live-gpus.ts";
import { OrphansBody } from "../../shared/wire/orphans.ts";
import { QueueBody } from "../../shared/wire/queue.ts";
import { ServeStatusBody } from "../../shared/wire/serve.ts";
import { StartBody } from "../../shared/wire/start.ts";
import { StatusBody } from "../../shared/wire/status.ts";
import { StopBody } from "../../shared/wire/stop.ts";
import { StorageDeleteBody } from "../../shared/wire/storage.ts";
import { OptimizeBody } from "../../shared/wire/validate.ts";

/** An endpoint that stores a request and answers with its id. */
export interface OperationRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly summary: string;
  readonly body: z.ZodType;
  /** Key of the operation in the registry: its wire name. */
  readonly operation: string;
  /** Field of the body with the cluster's name. */
  readonly clusterField?: string;
  /** Overrides the operation's schedule. */
  readonly schedule?: (body: Readonly<Record<string, unknown>>) => ScheduleType | undefined;
}

type Extra = Pick<OperationRoute, "clusterField" | "schedule">;

function post(path: string, body: z.ZodType, options: { operation: string; summary: string } & Extra): OperationRoute {
  return { method: "POST", path, body, ...options };
}

function get(path: string, body: z.ZodType, options: { operation: string; summary: string } & Extra): OperationRoute {
  return { method: "GET", path, body, ...options };
}

const onCluster = { clusterField: "cluster_name" } as const;

export const operationRoutes: readonly OperationRoute[] = [
  post("/check", CheckBody, { operation: "check", summary: "Check which infra can be used." }),
  post("/cloud_command", CloudCommandBody, { operation: "cloud_command", summary: "Run a command of one cloud." }),
  post("/cloud_sessions", CommonBody, {
    operation: "cloud_sessions",
    summary: "List cloud credentials in use that end, from the server's memory.",
  }),
  get("/enabled_clouds", EnabledCloudsBody, { operation: "enabled_clouds", summary: "List enabled clouds." }),
  get("/enabled_clouds/batch", EnabledCloudsBatchBody, {
    operation: "enabled_clouds_batch",
    summary: "List enabled clouds of several workspaces.",
  }),
  post("/optimize", OptimizeBody, { operation: "optimize", summary: "Find the cheapest place for a task." }),
  post("/launch", LaunchBody, { operation: "launch", summary: "Launch a cluster and submit a job.", ...onCluster }),
  post("/exec", ExecBody, { operation: "exec", summary: "Submit a job to a cluster.", ...onCluster }),
  post("/stop", StopBody, { operation: "stop", summary: "Stop a cluster.", ...onCluster }),
  post("/start", StartBody, { operation: "start", summary: "Restart a cluster.", ...onCluster }),
  post("/down", DownBody, { operation: "down", summary: "Terminate a cluster.", ...onCluster }),
  post("/autostop", AutostopBody, { operation: "autostop", summary: "Set autostop of a cluster.", ...onCluster }),
  post("/status", StatusBody, {
    operation: "status",
    summary: "List clusters.",
    // A refresh asks the clouds, which may take long.
    schedule: (body) => (body["refresh"] === "NONE" ? undefined : "long"),
  }),
  post("/queue", QueueBody, { operation: "queue", summary: "List the jobs of a cluster.", ...onCluster }),
  post("/job_status", JobStatusBody, { operation: "job_status", summary: "States of jobs.", ...onCluster }),
  post("/cancel", CancelBody, { operation: "cancel", summary: "Cancel jobs of a cluster.", ...onCluster }),
  post("/download_logs", DownloadLogsBody, {
    operation: "download_logs",
    summary: "Collect logs of jobs on the server.",
    ...onCluster,
  }),
  post("/hook_logs", HookLogsBody, { operation: "hook_logs", summary: "Log of a life-cycle hook.", ...onCluster }),
  post("/endpoints", EndpointsBody, {
    operation: "endpoints",
    summary: "Addresses of a cluster's open ports.",
    clusterField: "cluster",
  }),
  post("/orphans", OrphansBody, { operation: "orphans", summary: "Find clusters that the database does not have." }),
  post("/cost_report", CostReportBody, { operation: "cost_report", summary: "Estimate costs." }),
  post("/budget_set", BudgetSetBody, { operation: "budget_set", summary: "Make or change a budget." }),
  post("/budget_list", CommonBody, { operation: "budget_list", summary: "List budgets and what is spent of them." }),
  post("/budget_delete", BudgetDeleteBody, { operation: "budget_delete", summary: "Delete a budget." }),
  post("/cluster_events", ClusterEventsBody, { operation: "cluster_events", summary: "History of a cluster." }),
  post("/catalog/info", CatalogInfoBody, { operation: "catalog_info", summary: "Describe the price lists in use." }),
  post("/catalog/update", CatalogUpdateBody, { operation: "catalog_update", summary: "Make price lists new." }),
  post("/list_accelerators", ListAcceleratorsBody, { operation: "list_accelerators", summary: "List accelerators." }),
  post("/list_accelerator_counts", ListAcceleratorsBody, {
    operation: "list_accelerator_counts",
    summary: "List accelerators and their counts.",
  }),
  post("/realtime_kubernetes_gpu_availability", LiveGpusBody, {
    operation: "realtime_kubernetes_gpu_availability",
    summary: "Count the accelerators that are free on the user's own machines.",
  }),
  post("/kubernetes_node_info", NodeInfoBody, {
    operation: "kubernetes_node_info",
    summary: "Tell what is free on each of the user's own machines.",
  }),
  post("/api/cancel", ApiCancelBody, { operation: "api_cancel", summary: "Cancel requests." }),
  get("/workspaces", CommonBody, { operation: "workspaces.get", summary: "List workspaces." }),
  get("/storage/ls", CommonBody, { operation: "storage_ls", summary: "List storage." }),
  post("/storage/delete", StorageDeleteBody, { operation: "storage_delete", summary: "Delete storage." }),
  get("/volumes", CommonBody, { operation: "volume_list", summary: "List volumes." }),
  post("/jobs/queue", JobsQueueBody, { operation: "jobs.queue", summary: "List managed jobs." }),
  post("/jobs/queue/v2", JobsQueueBody, { operation: "jobs.queue_v2", summary: "List managed jobs." }),
  post("/jobs/pool_status", PoolStatusBody, { operation: "jobs.pool_status", summary: "List pools." }),
  post("/serve/status", ServeStatusBody, { operation: "serve.status", summary: "List services." }),
];

/** Endpoints of the protocol that this release does not serve: `[method, path, wire name]`. */
export const unsupportedRoutes: readonly (readonly ["GET" | "POST", string, string])[] = [
  ["POST", "/jobs/launch", "jobs.launch"],
  ["POST", "/jobs/cancel", "jobs.cancel"],
  ["POST", "/jobs/wait", "jobs.wait"],
  ["POST", "/jobs/logs", "jobs.logs"],
  ["POST", "/jobs/download_logs", "jobs.download_logs"],
  ["POST", "/jobs/events", "jobs.events"],
  ["POST", "/jobs/pool_apply", "jobs.pool_apply"],
  ["POST", "/jobs/pool_down", "jobs.pool_down"],
  ["POST", "/jobs/pool_logs", "jobs.pool_logs"],
  ["POST", "/jobs/pool_sync-down-logs", "jobs.pool_sync_down_logs"],
  ["POST", "/serve/up", "serve.up"],
  ["POST", "/serve/update", "serve.update"],
  ["POST", "/serve/down", "serve.down"],
  ["POST", "/serve/terminate-replica", "serve.terminate_replica"],
  ["POST", "/serve/logs", "serve.logs"],
  ["POST", "/serve/sync-down-logs", "serve.sync_down_logs"],
  ["POST", "/volumes/apply", "volume_apply"],
  ["POST", "/volumes/delete", "volume_delete"],
  ["POST", "/workspaces/create", "workspaces.create"],
  ["POST", "/workspaces/update", "workspaces.update"],
  ["POST", "/workspaces/delete", "workspaces.delete"],
  ["POST", "/workspaces/batch_add_users", "workspaces.batch_add_users"],
  ["POST", "/workspaces/batch_remove_users", "workspaces.batch_remove_users"],
  ["GET", "/workspaces/config", "workspaces.get_config"],
  ["POST", "/workspaces/config", "workspaces.update_config"],
  ["GET", "/recipes", "recipes.list"],
  ["POST", "/recipes/list", "recipes.list"],
  ["POST", "/recipes/get", "recipes.get"],
  ["POST", "/recipes/create", "recipes.create"],
  ["POST", "/recipes/update", "recipes.update"],
  ["POST", "/recipes/delete", "recipes.delete"],
  ["POST", "/recipes/pin", "recipes.pin"],
  ["POST", "/kubernetes_label_gpus", "kubernetes_label_gpus"],
  ["POST", "/slurm_gpu_availability", "realtime_slurm_gpu_availability"],
  ["POST", "/slurm_node_info", "slurm_node_info"],
  ["GET", "/slurm_node_info", "slurm_node_info"],
  ["POST", "/slurm_cluster_names", "slurm_cluster_names"],
  ["GET", "/status_kubernetes", "status_kubernetes"],
  ["GET", "/all_contexts", "all_contexts"],
  ["GET", "/kubernetes/allowed_nodes", "kubernetes.allowed_nodes"],
  ["POST", "/local_up", "local_up"],
  ["POST", "/local_down", "local_down"],
  ["POST", "/debug/dump_create", "debug_dump"],
];
