import { ClusterNotUpError, NotSupportedError } from "../shared/errors.ts";
import { listActiveRequestIds } from "../db/queries/requests.ts";
import type { OperationContext } from "../core/operation.ts";
import type { ApiCancelBody } from "../shared/wire/api-cancel.ts";
import type { EnabledCloudsBatchBody } from "../shared/wire/enabled-clouds.ts";
import { requireRequest } from "./requests/find-request.ts";
import type { AnyOperation } from "./requests/types.ts";
import { unsupportedRoutes } from "./routes/operation-table.ts";
import { sshPoolOperations } from "./ssh-node-pools.ts";

/** What clients show as "there is none" instead of as an empty list with hints; the texts are the original's. */
function noController(message: string): () => never {
  return () => {
    throw new ClusterNotUpError(message);
  };
}

function quick(wireName: string, run: (body: never, context: OperationContext) => unknown): [string, AnyOperation] {
  return [
    wireName,
    {
      name: `server.${wireName}`,
      wireName,
      schedule: "short",
      isResumable: false,
      run: async (body, context) => run(body, context),
    },
  ];
}

/** Operations that need nothing of the domain: request control, and kinds of things of which there are none yet. */
export function serverOperations(options: {
  readonly cancel: (requestIds: readonly string[]) => Promise<string[]>;
  readonly enabledClouds: AnyOperation | undefined;
}): Record<string, AnyOperation> {
  return Object.fromEntries([
    quick("api_cancel", (body: ApiCancelBody, context) => cancelRequests(body, context, options)),
    quick("workspaces.get", (_body, context) => listWorkspaces(context)),
    quick("enabled_clouds_batch", (body: EnabledCloudsBatchBody, context) =>
      enabledCloudsBatch(body, context, options),
    ),
    quick("volume_list", () => []),
    quick("jobs.queue", noController("No in-progress managed jobs.")),
    quick("jobs.queue_v2", noController("No in-progress managed jobs.")),
    quick("jobs.pool_status", () => []),
    quick("serve.status", noController("No live services.")),
    ...Object.entries(sshPoolOperations()),
    ...unsupportedRoutes.map(([, , wireName]) =>
      quick(wireName, () => {
        throw new NotSupportedError(`This API server does not support ${wireName} yet.`, {
          hint: "Nothing was changed. docs/DIFFERENCES.md lists what is available.",
        });
      }),
    ),
  ]);
}

async function cancelRequests(
  body: ApiCancelBody,
  context: OperationContext,
  options: { readonly cancel: (requestIds: readonly string[]) => Promise<string[]> },
): Promise<string[]> {
  let ids: string[];
  if (body.request_ids === undefined) {
    ids = await listActiveRequestIds(context.db, body.user_id === undefined ? {} : { userId: body.user_id });
  } else {
    ids = [];
    for (const prefix of body.request_ids) ids.push((await requireRequest(context.db, prefix)).request_id);
  }
  return options.cancel(ids.filter((id) => id !== context.requestId));
}

function listWorkspaces(context: OperationContext): Record<string, unknown> {
  const configured = context.config["workspaces"];
  const known: Record<string, unknown> = { default: {}, ...(isRecord(configured) ? configured : {}) };
  return Object.fromEntries(
    Object.entries(known).map(([name, config]) => [
      name,
      { ...(isRecord(config) ? config : {}), writable: true, read_only: false },
    ]),
  );
}

async function enabledCloudsBatch(
  body: EnabledCloudsBatchBody,
  context: OperationContext,
  options: { readonly enabledClouds: AnyOperation | undefined },
): Promise<Record<string, unknown>> {
  const result: Record<string, unknown> = {};
  for (const workspace of body.workspaces) {
    const one = { ...body, workspace };
    result[workspace] = (await options.enabledClouds?.run(one as never, context)) ?? [];
  }
  return result;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
