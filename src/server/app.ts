import { Hono, type Context } from "hono";
import { toStateError } from "../db/errors.ts";
import { SkyError } from "../shared/errors.ts";
import { toWireError } from "../shared/wire/error.ts";
import type { AppDependencies, AppEnv } from "./app-types.ts";
import { checkRequest, isAuthorized, UNAUTHORIZED, type RequestHead } from "./guard.ts";
import { nodeHead, standardHeaders } from "./health.ts";
import { addApiGet } from "./routes/api-get.ts";
import { addApiStatus } from "./routes/api-status.ts";
import { addApiStream } from "./routes/api-stream.ts";
import { addDownload } from "./routes/download.ts";
import { addLogs } from "./routes/logs.ts";
import { addOperationRoutes, newRequestId } from "./routes/operations.ts";
import { addProvisionLogs } from "./routes/provision-logs.ts";
import { addSmallRoutes } from "./routes/small.ts";
import { addSshNodePoolRoutes } from "./routes/ssh-node-pools.ts";
import { addUploadRoutes } from "./routes/uploads.ts";
import { addUserRoutes } from "./routes/users.ts";
import { addValidate } from "./routes/validate.ts";
import { InvalidRequestError } from "./validation.ts";

/** The HTTP application. Its dependencies are made by main.ts; tests make their own and call `app.request()`. */
export function createApp(deps: AppDependencies): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(async (c, next) => {
    c.set("requestId", newRequestId());
    const head = headOf(c);
    const refusal = checkRequest(head, deps.policy) ?? (isAuthorized(head, deps.policy) ? undefined : UNAUTHORIZED);
    if (refusal === undefined) await next();
    else c.res = c.json(refusal.body, refusal.status);
    setHeaders(c, standardHeaders(c.get("requestId")));
  });
  addApiGet(app, deps);
  addApiStream(app, deps);
  addApiStatus(app, deps);
  addOperationRoutes(app, deps);
  addValidate(app, deps);
  addLogs(app, deps);
  addProvisionLogs(app, deps);
  addDownload(app, deps);
  addUploadRoutes(app, deps);
  addUserRoutes(app, deps);
  addSshNodePoolRoutes(app, deps);
  addSmallRoutes(app, deps);
  app.get("/", (c) => c.redirect("/dashboard/"));
  app.notFound((c) => c.json({ detail: "Not Found" }, 404));
  app.onError((error, c) => answerError(error, c, deps));
  return app;
}

/** Node's own response takes headers at a tenth of the cost of a Response's. */
function setHeaders(c: Context<AppEnv>, headers: Readonly<Record<string, string>>): void {
  const outgoing = c.env?.outgoing;
  if (outgoing?.headersSent === true) return;
  for (const [name, value] of Object.entries(headers)) {
    if (outgoing === undefined) c.res.headers.set(name, value);
    else outgoing.setHeader(name, value);
  }
}

function headOf(c: Context<AppEnv>): RequestHead {
  const incoming = c.env?.incoming;
  if (incoming !== undefined) return nodeHead(incoming, c.req.path);
  return { method: c.req.method, path: c.req.path, header: (name) => c.req.header(name) };
}

/** `{"detail", "hint", "code"}` with the error's status; a bug shows no more than its id. */
function answerError(thrown: unknown, c: Context<AppEnv>, deps: AppDependencies): Response {
  const error = toStateError(thrown, deps.paths.stateFile);
  const requestId = c.get("requestId");
  if (error instanceof InvalidRequestError) {
    return c.json({ detail: error.issues, hint: null, code: error.code }, 422);
  }
  if (error instanceof SkyError) {
    const { message, hint, code } = error;
    return c.json({ detail: message, hint: hint ?? null, code }, error.status as 400);
  }
  if (c.req.raw.signal.aborted || deps.stopping.aborted) {
    return c.json({ detail: "Server is shutting down, please try again later.", hint: null, code: "STOPPING" }, 503);
  }
  deps.onInternalError(error, requestId);
  const wire = toWireError(error, { requestId });
  return c.json({ detail: wire.message, hint: wire.hint, code: wire.code }, 500);
}
