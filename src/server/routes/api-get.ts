import type { Hono } from "hono";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { requireRequest } from "../requests/find-request.ts";
import { toAnswer, type FinishedEntry } from "../requests/finished-cache.ts";
import { RequestNotFoundError } from "../../shared/errors.ts";

/** `GET /api/get`: waits for the end of a request and answers with its record; 500 when it failed. */
export function addApiGet(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/api/get", async (c) => {
    const given = c.req.query("request_id") ?? "";
    const signal = AbortSignal.any([c.req.raw.signal, deps.stopping]);
    const entry = await findEntry(given, { deps, signal });
    return c.body(toAnswer(entry), entry.isFailed ? 500 : 200, { "content-type": "application/json" });
  });
}

async function findEntry(
  given: string,
  options: { readonly deps: AppDependencies; readonly signal: AbortSignal },
): Promise<FinishedEntry> {
  const { queue, db } = options.deps;
  const finished = queue.findFinished(given);
  if (finished !== undefined) return finished;
  const requestId = queue.findLive(given) === undefined ? (await requireRequest(db, given)).request_id : given;
  const entry = await queue.wait(requestId, options);
  if (entry === undefined) throw new RequestNotFoundError(`Request '${given}' not found`);
  return entry;
}
