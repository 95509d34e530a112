import { z } from "zod";
import { ApiCancelResult } from "../shared/wire/api-cancel.ts";
import { BudgetRecord } from "../shared/wire/budgets.ts";
import { CatalogInfo } from "../shared/wire/catalog.ts";
import { CheckResult } from "../shared/wire/check.ts";
import { SKYPILOT_VERSION } from "../shared/wire/api-version.ts";
import { CloudSessionsResult } from "../shared/wire/cloud-sessions.ts";
import { CostRecord } from "../shared/wire/cost-report.ts";
import { DownloadBody } from "../shared/wire/download.ts";
import { DownloadLogsResult } from "../shared/wire/download-logs.ts";
import { EnabledCloudsBatchResult, EnabledCloudsResult } from "../shared/wire/enabled-clouds.ts";
import { LaunchResult, WireHandle } from "../shared/wire/handle.ts";
import { LiveGpusResult, NodesInfo } from "../shared/wire/live-gpus.ts";
import { HealthResult } from "../shared/wire/health.ts";
import { JobStatusResult } from "../shared/wire/job-status.ts";
import { JobsQueueResult } from "../shared/wire/jobs.ts";
import { LogsBody } from "../shared/wire/logs.ts";
import { Plan } from "../shared/wire/plan.ts";
import { ProvisionLogsBody } from "../shared/wire/provision-logs.ts";
import { OrphanRecord } from "../shared/wire/orphans.ts";
import { ClusterJobRecord } from "../shared/wire/queue.ts";
import { RequestPayload } from "../shared/wire/request-payload.ts";
import { StatusRecord } from "../shared/wire/status.ts";
import { StorageRecord } from "../shared/wire/storage.ts";
import { BlobQuery, UploadQuery, UploadResult } from "../shared/wire/upload.ts";
import { MyWorkspace, UserRecord, UserRole } from "../shared/wire/users.ts";
import { ValidateBody } from "../shared/wire/validate.ts";
import { WorkspacesResult } from "../shared/wire/workspaces.ts";
import { operationRoutes, unsupportedRoutes } from "./routes/operation-table.ts";

type Json = Readonly<Record<string, unknown>>;

/** What `return_value` holds once the request of an operation has succeeded. */
const results: Readonly<Record<string, z.ZodType>> = {
  api_cancel: ApiCancelResult,
  budget_list: z.array(BudgetRecord),
  budget_set: BudgetRecord,
  catalog_info: z.array(CatalogInfo),
  catalog_update: z.array(CatalogInfo),
  check: CheckResult,
  cloud_sessions: CloudSessionsResult,
  cost_report: z.array(CostRecord),
  download_logs: DownloadLogsResult,
  enabled_clouds: EnabledCloudsResult,
  enabled_clouds_batch: EnabledCloudsBatchResult,
  exec: LaunchResult,
  job_status: JobStatusResult,
  "jobs.queue_v2": JobsQueueResult,
  kubernetes_node_info: NodesInfo,
  launch: LaunchResult,
  optimize: Plan,
  orphans: z.array(OrphanRecord),
  queue: z.array(ClusterJobRecord),
  realtime_kubernetes_gpu_availability: LiveGpusResult,
  start: WireHandle,
  status: z.array(StatusRecord),
  storage_ls: z.array(StorageRecord),
  "workspaces.get": WorkspacesResult,
};

let document: Json | undefined;

/** The OpenAPI 3.1 document, generated from the schemas that the routes validate with. */
export function openApiDocument(): Json {
  document ??= build();
  return document;
}

function build(): Json {
  const paths: Record<string, Record<string, Json>> = {};
  const add = (method: string, path: string, operation: Json): void => {
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  };
  for (const route of operationRoutes) {
    const result = results[route.operation];
    add(route.method, route.path, {
      summary: route.summary,
      operationId: idOf(route.method, route.path),
      ...(route.method === "POST" ? { requestBody: jsonBody(route.body) } : {}),
      responses: { "200": accepted, ...commonResponses },
      ...(result === undefined ? {} : { "x-return-value": schemaOf(result, "output") }),
    });
  }
  for (const [method, path, name] of unsupportedRoutes) {
    add(method, path, {
      summary: `${name}: ends with NotSupportedError in this release.`,
      operationId: idOf(method, path),
      responses: { "200": accepted, ...commonResponses },
    });
  }
  for (const [method, path, operation] of [...requestEndpoints(), ...otherEndpoints()]) {
    add(method, path, { operationId: idOf(method, path), ...operation });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "SkyPilot API server",
      version: SKYPILOT_VERSION,
      description:
        "Operations are stored as requests: the answer's header X-Skypilot-Request-ID names one, /api/stream sends its log and /api/get its result.",
    },
    paths,
    components: { schemas: { RequestPayload: schemaOf(RequestPayload, "output") } },
  };
}

type Endpoint = readonly [string, string, Json];

function requestEndpoints(): Endpoint[] {
  const request = { $ref: "#/components/schemas/RequestPayload" };
  const log = { "200": { description: "The log as it grows.", content: { "text/plain": {} } }, ...commonResponses };
  return [
    ["GET", "/api/health", { summary: "Version and health.", responses: ok(schemaOf(HealthResult, "output")) }],
    [
      "GET",
      "/api/get",
      {
        summary: "Waits for the end of a request; 500 with the record in `detail` when it failed.",
        parameters: [query("request_id", { type: "string" })],
        responses: ok(request),
      },
    ],
    [
      "GET",
      "/api/stream",
      {
        summary: "The log of a request or a log file.",
        parameters: [
          ...["request_id", "log_path", "format", "download", "compress"].map((name) =>
            query(name, { type: "string" }),
          ),
          ...["tail", "offset"].map((name) => query(name, { type: "integer" })),
          query("follow", { type: "boolean" }),
        ],
        responses: log,
      },
    ],
    ["GET", "/api/status", { summary: "Requests, newest first.", responses: ok({ type: "array", items: request }) }],
    ["POST", "/logs", { summary: "Log of a job.", requestBody: jsonBody(LogsBody), responses: log }],
    [
      "POST",
      "/provision_logs",
      { summary: "Log of a launch.", requestBody: jsonBody(ProvisionLogsBody), responses: log },
    ],
  ];
}

function otherEndpoints(): Endpoint[] {
  return [
    [
      "POST",
      "/validate",
      { summary: "Check a task.", requestBody: jsonBody(ValidateBody), responses: ok({ type: "null" }) },
    ],
    [
      "POST",
      "/download",
      {
        summary: "A zip of folders that the server collected.",
        requestBody: jsonBody(DownloadBody),
        responses: { "200": { description: "A zip.", content: { "application/zip": {} } }, ...commonResponses },
      },
    ],
    [
      "GET",
      "/upload_v2/blob",
      { summary: "Whether an upload is there.", parameters: queriesOf(BlobQuery), responses: ok({ type: "object" }) },
    ],
    [
      "POST",
      "/upload_v2",
      {
        summary: "One chunk of a zip.",
        parameters: queriesOf(UploadQuery),
        requestBody: { content: { "application/octet-stream": {} } },
        responses: ok(schemaOf(UploadResult, "output")),
      },
    ],
    ["GET", "/users", { summary: "Users.", responses: ok(schemaOf(z.array(UserRecord), "output")) }],
    ["GET", "/users/role", { summary: "The caller's role.", responses: ok(schemaOf(UserRole, "output")) }],
    [
      "GET",
      "/users/me/workspace",
      { summary: "The caller's workspace.", responses: ok(schemaOf(MyWorkspace, "output")) },
    ],
  ];
}

const problem = {
  description: "The request was refused.",
  content: {
    "application/json": {
      schema: {
        type: "object",
        required: ["detail"],
        properties: { detail: {}, hint: { type: ["string", "null"] }, code: { type: ["string", "null"] } },
      },
    },
  },
};

const commonResponses = { "4XX": problem, "5XX": problem };

const accepted = {
  description: "Stored; the header X-Skypilot-Request-ID names the request.",
  content: { "application/json": { schema: { type: "null" } } },
};

function ok(schema: Json): Json {
  return { "200": { description: "OK", content: { "application/json": { schema } } }, ...commonResponses };
}

function jsonBody(schema: z.ZodType): Json {
  return { required: true, content: { "application/json": { schema: schemaOf(schema, "input") } } };
}

function query(name: string, schema: unknown): Json {
  return { name, in: "query", required: false, schema };
}

function queriesOf(schema: z.ZodObject): Json[] {
  const { properties, required } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return Object.entries(properties ?? {}).map(([name, property]) => ({
    ...query(name, property),
    required: required?.includes(name) ?? false,
  }));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any", reused: "inline" });
  return rest;
}

function idOf(method: string, path: string): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+(.?)/g, (_match, next: string) => next.toUpperCase())}`;
}
