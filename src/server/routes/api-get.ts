import type { Context, Hono } from "hono";
import { RequestNotFoundError } from "../../shared/errors.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { requireRequest } from "../requests/find-request.ts";
import { toAnswer, type FinishedEntry } from "../requests/finished-cache.ts";
import { sendJson } from "../send-json.ts";

/** `GET /api/get`: waits for the end of a request and answers with its record; 500 when it failed. */
export function addApiGet(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/api/get", async (c) => {
    const given = c.req.query("request_id") ?? "";
    const entry = await findEntry(given, c, deps);
    return sendJson(c, { status: entry.isFailed ? 500 : 200, parts: toAnswer(entry) });
  });
}

async function findEntry(given: string, c: Context<AppEnv>, deps: AppDependencies): Promise<FinishedEntry> {
  const { queue, db } = deps;
  const finished = queue.findFinished(given);
  if (finished !== undefined) return finished;
  const requestId = queue.findLive(given) === undefined ? (await requireRequest(db, given)).request_id : given;
  const signal = AbortSignal.any([c.req.raw.signal, deps.stopping]);
  const entry = await queue.wait(requestId, { signal });
  if (entry === undefined) throw new RequestNotFoundError(`Request '${given}' not found`);
  return entry;
}
