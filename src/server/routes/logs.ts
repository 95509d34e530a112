import type { Context, Hono } from "hono";
import { streamJobLogs, type JobLogStream } from "../../core/clusters/logs.ts";
import { RequestCancelledError } from "../../shared/errors.ts";
import { renderControl } from "../../shared/wire/control-lines.ts";
import { HEADER } from "../../shared/wire/headers.ts";
import { LogsBody } from "../../shared/wire/logs.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { cancelled, failed, interruptedByRestart, succeeded } from "../requests/outcome.ts";
import type { AnyOperation } from "../requests/types.ts";
import { encodeText } from "../streams/byte-stream.ts";
import { withHeartbeats } from "../streams/heartbeats.ts";
import { HEARTBEAT_MS } from "../streams/request-stream.ts";
import { logResponse } from "../streams/responses.ts";
import { makeSubmission } from "./operations.ts";

/** The row's operation. It runs inside the HTTP call, so nothing ever starts it from the table. */
const logsOperation: AnyOperation = {
  name: "clusters.logs",
  wireName: "logs",
  schedule: "short",
  isResumable: false,
  run: () => Promise.resolve(null),
};

const silent = { line: () => undefined, spin: () => undefined, spinEnd: () => undefined };

type OpenRequest = Awaited<ReturnType<AppDependencies["queue"]["open"]>>;

/** `POST /logs`: a request whose answer is its own stream; its result is the job's exit code. */
export function addLogs(app: Hono<AppEnv>, deps: AppDependencies): void {
  const operations = { ...deps.operations, logs: logsOperation };
  app.post("/logs", async (c) => {
    const submission = await makeSubmission(c, {
      route: {
        method: "POST",
        path: "/logs",
        summary: "",
        body: LogsBody,
        operation: "logs",
        clusterField: "cluster_name",
      },
      input: await readJson(c.req.raw, c.env?.incoming),
      deps: { ...deps, operations },
    });
    c.set("requestId", submission.requestId);
    const request = await deps.queue.open(submission, { log: silent });
    const body = submission.body as LogsBody;
    let logs: JobLogStream;
    try {
      logs = await streamJobLogs(body, await deps.createContext(request.run));
    } catch (error) {
      // The official client looks for the error with `/api/get` after an empty stream.
      await request.end(failed(error, { requestId: submission.requestId, finishedAt: deps.clock.now() }));
      return respond(c, deps, { headers: {}, produce: async function* () {} });
    }
    const isResumable = body.log_offset !== undefined;
    return respond(c, deps, {
      headers: isResumable
        ? { [HEADER.logOffset]: String(logs.offset), [HEADER.jobId]: logs.jobId === null ? "" : String(logs.jobId) }
        : {},
      produce: (signal) => produceLogs(logs, { request, deps, signal, isResumable }),
    });
  });
}

async function* produceLogs(
  logs: JobLogStream,
  options: {
    readonly request: OpenRequest;
    readonly deps: AppDependencies;
    readonly signal: AbortSignal;
    readonly isResumable: boolean;
  },
): AsyncGenerator<Uint8Array> {
  const { request, deps } = options;
  const { requestId } = request.run;
  const signal = AbortSignal.any([options.signal, deps.stopping, request.abort.signal]);
  let outcome = cancelled(deps.clock.now());
  let last: Uint8Array = encodeText("\n");
  try {
    for await (const chunk of withHeartbeats(logs.chunks, { everyMs: HEARTBEAT_MS, signal })) {
      if (chunk.length > 0) last = chunk;
      yield chunk;
    }
    if (deps.stopping.aborted) {
      outcome = failed(interruptedByRestart(requestId), { requestId, finishedAt: deps.clock.now() });
      if (!options.isResumable) yield encodeText(renderControl({ kind: "retry" }));
    }
    if (signal.aborted) return;
    const end = await logs.end;
    outcome = succeeded(end.exitCode, deps.clock.now());
    const lineEnd = last.at(-1) === 0x0a ? "" : "\n";
    if (options.isResumable) {
      const message = end.status ?? "";
      yield encodeText(lineEnd + renderControl({ kind: "job_finished", message }));
    } else if (end.trailer !== undefined) {
      yield encodeText(`${lineEnd}${end.trailer}\n`);
    }
  } catch (error) {
    if (!signal.aborted) outcome = failed(error, { requestId, finishedAt: deps.clock.now() });
  } finally {
    await request.end({ ...outcome, finished_at: deps.clock.now() });
    // Ends the stream on the agent's side when the client has gone.
    request.abort.abort(new RequestCancelledError("The log stream has ended."));
  }
}

function respond(
  c: Context<AppEnv>,
  deps: AppDependencies,
  options: {
    readonly headers: Readonly<Record<string, string>>;
    readonly produce: (signal: AbortSignal) => AsyncGenerator<Uint8Array>;
  },
): Response {
  return logResponse(options.produce, {
    format: "console",
    headers: options.headers,
    onError: (error) => deps.onInternalError(error, c.get("requestId")),
  });
}
