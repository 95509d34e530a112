import { join } from "node:path";
import { createEffect } from "../../core/effect.ts";
import { finishRequest, setRequestWaiting, type RequestOutcome } from "../../db/queries/requests.ts";
import { sqliteCode, toStateError } from "../../db/errors.ts";
import { RequestCancelledError, SkyError } from "../../shared/errors.ts";
import type { FinishedCache, FinishedEntry } from "./finished-cache.ts";
import type { LiveRequest } from "./live-request.ts";
import { LeaseLostError, outcomeOfError, ServerStoppingError, succeeded } from "./outcome.ts";
import { toFinishedEntry } from "./payload.ts";
import type { EscapedResult, ResultStore } from "./result-store.ts";
import { JsonText } from "../../shared/json-text.ts";
import { RequestLogFile } from "./request-log.ts";
import type { QueueOptions, RunInfo } from "./types.ts";

const STORE_RETRY_MS = 5000;

export interface RunDependencies extends QueueOptions {
  readonly finished: FinishedCache;
  readonly results: ResultStore;
  /** Cancels every other active request on a cluster; resolves when they have ended. */
  readonly cancelOthers: (clusterName: string, requestId: string) => Promise<readonly string[]>;
  /** Called when the request begins or ends to wait, which frees or takes a slot. */
  readonly onWaitingChange: () => void;
}

export function requestLogPath(logDirectory: string, requestId: string): string {
  return join(logDirectory, `${requestId}.log`);
}

/** Runs the operation of a claimed request to its end and stores the outcome. Never rejects. */
export async function runRequest(live: LiveRequest, options: RunDependencies): Promise<FinishedEntry | undefined> {
  const requestId = live.row.request_id;
  const log = new RequestLogFile(requestLogPath(options.logDirectory, requestId), {
    isResumed: live.row.attempts > 1,
    onGrow: () => options.events.notify(requestId),
  });
  const { signal } = live.controller;
  let outcome: RequestOutcome;
  let source: JsonText | undefined;
  try {
    const context = await options.createContext(runInfo(live, options, { log }));
    signal.throwIfAborted();
    const result = await live.operation.run(live.input.body as never, context);
    outcome = succeeded(result, options.clock.now());
    if (result instanceof JsonText) source = result;
  } catch (thrown) {
    if (signal.reason instanceof LeaseLostError) return undefined;
    const error = toStateError(thrown, "the server's state");
    reportBug(error, signal, { requestId, report: options.onInternalError });
    outcome = outcomeOfError(error, { requestId, finishedAt: options.clock.now(), abortReason: signal.reason });
  }
  closeLog(log, live, outcome, options);
  return storeOutcome(live, outcome, { ...options, source });
}

/** What the operation's context is made of. */
export function runInfo(live: LiveRequest, options: RunDependencies, parts: { readonly log: RunInfo["log"] }): RunInfo {
  const { database, clock } = options;
  const requestId = live.row.request_id;
  return {
    requestId,
    input: live.input,
    log: parts.log,
    signal: live.controller.signal,
    db: database.db,
    effect: createEffect({
      db: database.db,
      durably: database.durably,
      requestId,
      leaseToken: live.row.lease_token,
      clock,
      ...(options.passFailpoint === undefined ? {} : { passFailpoint: options.passFailpoint }),
    }),
    requests: {
      setWaiting: (message) => setWaiting(live, message, options),
      cancelOthers: (clusterName) => options.cancelOthers(clusterName, requestId),
    },
  };
}

function setWaiting(live: LiveRequest, message: string | undefined, options: RunDependencies): void {
  const status = message === undefined ? "RUNNING" : "WAITING";
  live.row = { ...live.row, status, status_msg: message ?? null };
  options.events.notify(live.row.request_id);
  options.onWaitingChange();
  setRequestWaiting(options.database.db, live.row.request_id, {
    leaseToken: live.row.lease_token,
    message: message ?? null,
  }).catch((error: unknown) => options.onInternalError(error, live.row.request_id));
}

/**
 * Writes the end of a request. When the disk is full the outcome waits in memory and is written as soon as there is room;
 * should the server die before, the request is taken up again. Undefined when the lease was lost.
 */
export async function storeOutcome(
  live: LiveRequest,
  outcome: RequestOutcome,
  options: RunDependencies & { /** The result as the operation gave it. */ readonly source?: JsonText | undefined },
): Promise<FinishedEntry | undefined> {
  const requestId = live.row.request_id;
  const text = outcome.return_value ?? null;
  let kept: EscapedResult | undefined;
  const write = async (): Promise<boolean> => {
    const { columns, escaped } = await options.results.keep(requestId, text, options.source);
    kept = escaped;
    const end = { ...outcome, ...columns };
    if (live.insertion?.finish(end) === true) {
      await live.insertion.stored;
      return true;
    }
    // A row that is on its way has to be there before it can be changed: on Postgres the change may go by another connection.
    await live.insertion?.stored.catch(() => undefined);
    return finishRequest(options.database.db, requestId, { leaseToken: live.row.lease_token, outcome: end });
  };
  try {
    if (!(await write())) return undefined;
  } catch (error) {
    options.onInternalError(error, requestId);
    retryLater(write, error, options).catch((later: unknown) => options.onInternalError(later, requestId));
  }
  live.row = {
    ...live.row,
    ...outcome,
    return_value: text,
    return_hash: null,
    error: outcome.error ?? null,
    lease_owner: null,
    should_retry: outcome.should_retry ?? 0,
    status_msg: null,
  };
  const entry = toFinishedEntry(live.row, kept ?? JSON.stringify(text ?? "null"));
  options.finished.set(requestId, entry);
  options.events.notify(requestId);
  return entry;
}

async function retryLater(write: () => Promise<boolean>, first: unknown, options: RunDependencies): Promise<void> {
  let error = first;
  while (sqliteCode(error) !== undefined) {
    await options.clock.sleep(STORE_RETRY_MS);
    try {
      await write();
      return;
    } catch (again) {
      error = again;
    }
  }
}

function closeLog(log: RequestLogFile, live: LiveRequest, outcome: RequestOutcome, options: RunDependencies): void {
  const { name, request_id: requestId } = live.row;
  try {
    log.close(outcome.status === "CANCELLED" ? `'${name}' request ${requestId} cancelled` : undefined);
  } catch (error) {
    options.onInternalError(error, requestId);
  }
}

function reportBug(
  error: unknown,
  signal: AbortSignal,
  to: { readonly requestId: string; readonly report: QueueOptions["onInternalError"] },
): void {
  if (error instanceof SkyError || error === signal.reason) return;
  const isStopped = signal.reason instanceof RequestCancelledError || signal.reason instanceof ServerStoppingError;
  if (!isStopped) to.report(error, to.requestId);
}
