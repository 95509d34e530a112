import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context, Hono } from "hono";
import { RequestNotFoundError } from "../../shared/errors.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { standardHeaders } from "../health.ts";
import { requireRequest } from "../requests/find-request.ts";
import { toAnswer, type FinishedEntry } from "../requests/finished-cache.ts";

/** `GET /api/get`: waits for the end of a request and answers with its record; 500 when it failed. */
export function addApiGet(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/api/get", async (c) => {
    const given = c.req.query("request_id") ?? "";
    const entry = await findEntry(given, c, deps);
    const parts = toAnswer(entry);
    const status = entry.isFailed ? 500 : 200;
    const outgoing = c.env?.outgoing;
    if (outgoing === undefined || parts.every((part) => typeof part === "string")) {
      const text = parts.map((part) => part.toString()).join("");
      return c.body(text, status, { "content-type": "application/json" });
    }
    sendParts(outgoing, { status, parts, requestId: c.get("requestId") });
    return RESPONSE_ALREADY_SENT;
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

/** Sends a large answer without making a Response of it, which would copy it three times. */
function sendParts(
  outgoing: ServerResponse,
  answer: { readonly status: number; readonly parts: readonly (string | Buffer)[]; readonly requestId: string },
): void {
  const buffers = answer.parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
  outgoing.writeHead(answer.status, {
    ...standardHeaders(answer.requestId),
    "content-type": "application/json",
    "content-length": buffers.reduce((sum, part) => sum + part.length, 0),
  });
  outgoing.cork();
  for (const part of buffers) outgoing.write(part);
  outgoing.end();
  outgoing.uncork();
}
