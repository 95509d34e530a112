import { existsSync, realpathSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import type { Context, Hono } from "hono";
import { findLatestRequest } from "../../db/queries/requests.ts";
import { InvalidValueError, RequestNotFoundError, SkyError } from "../../shared/errors.ts";
import { HEADER } from "../../shared/wire/headers.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { requireRequest } from "../requests/find-request.ts";
import { encodeText } from "../streams/byte-stream.ts";
import { followFile } from "../streams/follow-file.ts";
import { HEARTBEAT_MS, streamRequest } from "../streams/request-stream.ts";
import { chooseFormat, logResponse } from "../streams/responses.ts";
import { readTail } from "../streams/tail.ts";

/** How often a followed file that is no request's log is looked at. */
const FILE_POLL_MS = 300;

class LogNotFoundError extends SkyError {
  readonly code = "LOG_NOT_FOUND";
  override readonly wireName = "FileNotFoundError";
  override readonly status = 404;
}

interface StreamQuery {
  readonly requestId: string | undefined;
  readonly logPath: string | undefined;
  readonly tail: number | undefined;
  readonly offset: number | undefined;
  readonly follow: boolean;
}

/** `GET /api/stream`: the log of a request, or a log file. */
export function addApiStream(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/api/stream", async (c) => {
    const query = readQuery(c);
    if (query.logPath !== undefined) return streamFile(c, deps, { ...query, logPath: query.logPath });
    const row =
      query.requestId === undefined ? await findLatestRequest(deps.db) : await requireRequest(deps.db, query.requestId);
    if (row === undefined) throw new RequestNotFoundError("No request was found.");
    const headers: Record<string, string> = { [HEADER.streamRequestId]: query.requestId ?? row.request_id };
    if (query.offset !== undefined) headers[HEADER.logOffset] = String(query.offset);
    return respond(c, deps, {
      headers,
      produce: (signal) => streamRequest({ deps, row, ...query, signal }),
    });
  });
}

function readQuery(c: Context<AppEnv>): StreamQuery {
  const requestId = emptyToUndefined(c.req.query("request_id"));
  const logPath = emptyToUndefined(c.req.query("log_path"));
  if (requestId !== undefined && logPath !== undefined) {
    throw new InvalidValueError("Only one of request_id and log_path can be provided");
  }
  const tail = readCount(c, "tail");
  return {
    requestId,
    logPath,
    tail: tail === 0 ? undefined : tail,
    offset: readCount(c, "offset"),
    follow: !/^(?:false|0|no|off)$/i.test(c.req.query("follow") ?? "true"),
  };
}

function readCount(c: Context<AppEnv>, name: string): number | undefined {
  const text = emptyToUndefined(c.req.query(name));
  if (text === undefined || text === "None") return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new InvalidValueError(`${name} must be a non-negative integer`);
  return Number(text);
}

function streamFile(
  c: Context<AppEnv>,
  deps: AppDependencies,
  query: StreamQuery & { readonly logPath: string },
): Response {
  const path = resolveLogPath(query.logPath, deps);
  const produce = async function* (signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const stop = AbortSignal.any([signal, deps.stopping]);
    let offset = query.offset ?? 0;
    if (query.tail !== undefined && query.offset === undefined) {
      const tail = await readTail(path, query.tail);
      if (tail.text !== "") yield encodeText(tail.text);
      offset = tail.offset;
    }
    yield* followFile({
      path,
      offset,
      isComplete: () => !query.follow,
      waitForChange: (timeoutMs) =>
        deps.clock.sleep(Math.min(timeoutMs, FILE_POLL_MS), { signal: stop }).catch(() => undefined),
      heartbeatMs: query.follow ? HEARTBEAT_MS : undefined,
      now: () => deps.clock.now(),
      signal: stop,
    });
  };
  return respond(c, deps, { headers: {}, produce });
}

/** A file below `~/sky_logs`, or the server's own log by its documented name. Throws InvalidValueError and LogNotFoundError. */
function resolveLogPath(given: string, deps: AppDependencies): string {
  const { skyLogs, serverLog, home } = deps.paths;
  if (given === "~/.sky/api_server/server.log" || given === "~/.sky/ts/server.log")
    return requireFile(serverLog, given);
  const local = given.startsWith("~/") ? join(home, given.slice(2)) : given;
  const path = resolve(skyLogs, local);
  if (!isInside(skyLogs, path)) throw unauthorized(given);
  requireFile(path, given);
  // A link inside the directory may lead out of it.
  if (!isInside(realpathSync(skyLogs), realpathSync(path))) throw unauthorized(given);
  return path;
}

function isInside(root: string, path: string): boolean {
  const rest = relative(root, path);
  return rest !== "" && rest !== ".." && !rest.startsWith(`..${sep}`);
}

function unauthorized(given: string): InvalidValueError {
  return new InvalidValueError(`Unauthorized log path: '${given}'`);
}

function requireFile(path: string, given: string): string {
  if (!existsSync(path)) throw new LogNotFoundError(`Log path '${given}' does not exist`);
  return path;
}

function respond(
  c: Context<AppEnv>,
  deps: AppDependencies,
  options: {
    readonly headers: Readonly<Record<string, string>>;
    readonly produce: (signal: AbortSignal) => AsyncGenerator<Uint8Array>;
  },
): Response {
  const download = emptyToUndefined(c.req.query("download"));
  const format = download === undefined ? chooseFormat(c.req.query("format"), c.req.header("user-agent")) : "plain";
  return logResponse(options.produce, {
    format,
    headers: options.headers,
    isGzip: c.req.query("compress") === "gz",
    download,
    onError: (error) => deps.onInternalError(error, c.get("requestId")),
  });
}

function emptyToUndefined(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
