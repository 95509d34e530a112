import { randomUUID } from "node:crypto";
import type { Context, Hono } from "hono";
import { InvalidValueError, NotAvailableYetError } from "../../shared/errors.ts";
import { CommonBody } from "../../shared/wire/body-fields.ts";
import { HEADER } from "../../shared/wire/headers.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { redactCommandLine } from "../requests/display-body.ts";
import type { OperationBody, Submission } from "../requests/types.ts";
import { sendJson } from "../send-json.ts";
import { parseInput } from "../validation.ts";
import { operationRoutes, unsupportedRoutes, type OperationRoute } from "./operation-table.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Every endpoint that only stores a request: schema in, schedule, request id out. */
export function addOperationRoutes(app: Hono<AppEnv>, deps: AppDependencies): void {
  for (const route of operationRoutes) addRoute(app, route, deps);
  for (const [method, path, operation] of unsupportedRoutes) {
    addRoute(app, { method, path, operation, body: CommonBody, summary: "Not available in this release." }, deps);
  }
}

function addRoute(app: Hono<AppEnv>, route: OperationRoute, deps: AppDependencies): void {
  app.on(route.method, route.path, async (c) => {
    const input = route.method === "GET" ? fromQuery(c) : await readJson(c.req.raw, c.env?.incoming);
    const submission = await makeSubmission(c, { route, input, deps });
    await deps.queue.submit(submission);
    c.set("requestId", submission.requestId);
    return sendJson(c, { status: 200, parts: ["null"] });
  });
}

/** Checks the input and says who asks for what. Throws InvalidRequestError. */
export async function makeSubmission(
  c: Context<AppEnv>,
  options: { readonly route: OperationRoute; readonly input: unknown; readonly deps: AppDependencies },
): Promise<Submission> {
  const { route, deps } = options;
  const operation = deps.operations[route.operation];
  if (operation === undefined) throw new NotAvailableYetError(`${route.operation} is not available yet.`);
  const parsed = parseInput(route.body, options.input, {
    where: route.method === "GET" ? "query" : "body",
  }) as CommonBody & OperationBody;
  // The command line is stored and shown in many places; it must not carry secrets into any of them.
  const body = { ...parsed, entrypoint_command: redactCommandLine(parsed.entrypoint_command) };
  const cluster = route.clusterField === undefined ? undefined : body[route.clusterField as keyof typeof body];
  const key = idempotencyKey(c);
  return {
    requestId: key ?? c.get("requestId"),
    isRepeatable: key !== undefined,
    operation,
    body,
    schedule: route.schedule?.(body) ?? operation.schedule,
    clusterName: typeof cluster === "string" ? cluster : null,
    caller: await deps.users.identify(body.env_vars),
    isLocalClient: deps.policy.isLoopback && !body.using_remote_api_server && route.method === "POST",
    clientApiVersion: Number(c.req.header(HEADER.apiVersion) ?? Number.NaN) || null,
  };
}

function idempotencyKey(c: Context<AppEnv>): string | undefined {
  const key = c.req.header(HEADER.idempotencyKey);
  if (key === undefined) return undefined;
  if (!UUID.test(key)) throw new InvalidValueError(`${HEADER.idempotencyKey} must be a lower-case UUID.`);
  return key;
}

/** Puts a query into the shape of a body: flags as booleans, comma lists as lists. */
function fromQuery(c: Context<AppEnv>): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(c.req.query())) {
    if (/^(?:true|false)$/i.test(value)) input[key] = value.toLowerCase() === "true";
    else if (key === "workspaces") input[key] = value.split(",").filter((name) => name !== "");
    else if (value !== "" && value !== "None") input[key] = value;
  }
  return input;
}

/** Id of an HTTP request; of the request it stores, unless the client chose one. */
export function newRequestId(): string {
  return randomUUID();
}
