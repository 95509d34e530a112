import { findRequest, isTerminal, type RequestRow } from "../../db/queries/requests.ts";
import { renderControl } from "../../shared/wire/control-lines.ts";
import type { AppDependencies } from "../app-types.ts";
import { requestLogPath } from "../requests/run-request.ts";
import { encodeText } from "./byte-stream.ts";
import { followFile } from "./follow-file.ts";
import { readTail } from "./tail.ts";

export const HEARTBEAT_MS = 15_000;
/** How long a short request may wait for a slot before the client is told. */
const SHORT_PATIENCE_MS = 2000;
/** Looking interval for a request that another replica runs. */
const REMOTE_POLL_MS = 300;
const SPINNER_MS = 1000;

export interface RequestStreamOptions {
  readonly deps: Pick<AppDependencies, "queue" | "db" | "events" | "clock" | "paths" | "stopping">;
  readonly row: RequestRow;
  /** Byte of the log to start at; undefined = the official form, with a spinner while the request waits. */
  readonly offset: number | undefined;
  /** Last lines only. */
  readonly tail: number | undefined;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** The log of a request until its end. */
export async function* streamRequest(options: RequestStreamOptions): AsyncGenerator<Uint8Array> {
  const { deps, row } = options;
  const requestId = row.request_id;
  const signal = AbortSignal.any([options.signal, deps.stopping]);
  const path = requestLogPath(deps.paths.requestLogs, requestId);
  let start = options.offset ?? 0;
  if (options.tail !== undefined && options.offset === undefined) {
    const tail = await readTail(path, options.tail);
    if (tail.text !== "") yield encodeText(tail.text);
    start = tail.offset;
  } else if (options.follow && options.offset === undefined) {
    yield* showWaiting(row, { ...options, signal });
  }
  const isEnded = (): Promise<boolean> => hasEnded(requestId, deps);
  const changes = deps.events.watch(requestId);
  try {
    yield* followFile({
      path,
      offset: start,
      isComplete: options.follow ? isEnded : () => true,
      waitForChange: (timeoutMs) => changes.next({ signal, timeoutMs: patience(requestId, { deps, timeoutMs }) }),
      heartbeatMs: options.follow ? HEARTBEAT_MS : undefined,
      now: () => deps.clock.now(),
      signal,
    });
  } finally {
    changes.close();
  }
  if (deps.stopping.aborted && !options.signal.aborted) yield* endForRestart(row, deps);
}

/** A server that stops tells the clients of what will not go on to repeat it; the others see a cut connection and come back. */
async function* endForRestart(row: RequestRow, deps: RequestStreamOptions["deps"]): AsyncGenerator<Uint8Array> {
  if (deps.queue.isResumable(row.operation)) throw new Error("The server stops; the stream goes on after its restart.");
  yield encodeText(renderControl({ kind: "retry" }));
}

/** The spinner of a request that waits for a slot. It is no part of the log file. */
async function* showWaiting(row: RequestRow, options: RequestStreamOptions): AsyncGenerator<Uint8Array> {
  const { deps, signal } = options;
  const requestId = row.request_id;
  const patienceMs = row.schedule_type === "short" ? SHORT_PATIENCE_MS : 0;
  let shown: string | undefined;
  const changes = deps.events.watch(requestId);
  try {
    for (;;) {
      const current = await currentState(requestId, deps);
      if (!isWaiting(current) || signal.aborted) break;
      if (deps.clock.now() - row.created_at >= patienceMs) {
        if (shown === undefined) {
          const message = `[dim]Checking request: ${requestId}[/dim]`;
          yield encodeText(renderControl({ kind: "init", message }) + renderControl({ kind: "start", message }));
        }
        const message =
          current?.status_msg ?? `[dim]Waiting for '${row.name}' request to be scheduled: ${requestId}[/dim]`;
        if (message !== shown) yield encodeText(renderControl({ kind: "update", message }));
        shown = message;
      }
      await changes.next({ signal, timeoutMs: patience(requestId, { deps, timeoutMs: SPINNER_MS }) });
    }
  } finally {
    changes.close();
  }
  if (shown !== undefined) yield encodeText(renderControl({ kind: "stop" }));
}

type State = Pick<RequestRow, "status" | "status_msg">;

async function currentState(requestId: string, deps: RequestStreamOptions["deps"]): Promise<State | undefined> {
  return deps.queue.findLive(requestId) ?? (await findRequest(deps.db, requestId));
}

function isWaiting(state: State | undefined): boolean {
  return state?.status === "PENDING" || state?.status === "WAITING";
}

async function hasEnded(requestId: string, deps: RequestStreamOptions["deps"]): Promise<boolean> {
  if (deps.queue.findFinished(requestId) !== undefined) return true;
  const state = await currentState(requestId, deps);
  return state === undefined || isTerminal(state.status);
}

/** How long to wait for an event. Events of another process do not reach us, so its requests are looked at now and then. */
function patience(
  requestId: string,
  options: { readonly deps: RequestStreamOptions["deps"]; readonly timeoutMs: number },
): number {
  const isOurs = options.deps.queue.findLive(requestId) !== undefined;
  return isOurs ? options.timeoutMs : Math.min(options.timeoutMs, REMOTE_POLL_MS);
}
