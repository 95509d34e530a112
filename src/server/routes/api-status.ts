import type { Context, Hono } from "hono";
import { listRequests, type RequestFilter } from "../../db/queries/requests.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { requireRequest } from "../requests/find-request.ts";
import { checkFields, readablePayload } from "../requests/payload.ts";

/** `GET /api/status`: requests, newest first. */
export function addApiStatus(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/api/status", async (c) => {
    const fields = c.req.queries("fields") ?? [];
    checkFields(fields);
    const rows = await listRequests(deps.db, await readFilter(c, deps));
    return c.json(rows.map((row) => readablePayload(row, { isOwner: true, fields })));
  });
}

async function readFilter(c: Context<AppEnv>, deps: AppDependencies): Promise<RequestFilter> {
  const given = c.req.queries("request_ids") ?? [];
  const limit = c.req.query("limit");
  if (limit !== undefined && !/^\d{1,9}$/.test(limit))
    throw new InvalidValueError("limit must be a non-negative integer");
  const clusterName = c.req.query("cluster_name");
  const requestIds: string[] = [];
  for (const prefix of given) requestIds.push((await requireRequest(deps.db, prefix)).request_id);
  return {
    ...(given.length > 0 ? { requestIds } : {}),
    isActiveOnly: given.length === 0 && !/^(?:true|1|yes|on)$/i.test(c.req.query("all_status") ?? ""),
    ...(clusterName === undefined ? {} : { clusterName }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
  };
}
