import type { RequestOutcome } from "../../db/queries/requests.ts";
import { RequestCancelledError, RequestInterruptedError } from "../../shared/errors.ts";
import { JsonText } from "../../shared/json-text.ts";
import { toWireError } from "../../shared/wire/error.ts";

/** Abort reason of operations that the end of the server cuts off. */
export class ServerStoppingError extends RequestInterruptedError {}

/** Abort reason when another replica holds the request now. Nothing may be written for it. */
export class LeaseLostError extends RequestInterruptedError {}

export function succeeded(result: unknown, finishedAt: number): RequestOutcome {
  const text = result instanceof JsonText ? result.text : (JSON.stringify(result) ?? "null");
  return {
    status: "SUCCEEDED",
    return_value: text,
    error: null,
    should_retry: 0,
    status_msg: null,
    finished_at: finishedAt,
  };
}

export function failed(
  error: unknown,
  options: { readonly requestId: string; readonly finishedAt: number },
): RequestOutcome {
  return {
    status: "FAILED",
    return_value: null,
    error: JSON.stringify(toWireError(error, { requestId: options.requestId })),
    should_retry: error instanceof ServerStoppingError ? 1 : 0,
    status_msg: null,
    finished_at: options.finishedAt,
  };
}

export function cancelled(finishedAt: number): RequestOutcome {
  return {
    status: "CANCELLED",
    return_value: null,
    error: null,
    should_retry: 0,
    status_msg: null,
    finished_at: finishedAt,
  };
}

/** How a request ends that did not return a result. */
export function outcomeOfError(
  error: unknown,
  options: { readonly requestId: string; readonly finishedAt: number; readonly abortReason: unknown },
): RequestOutcome {
  if (options.abortReason instanceof RequestCancelledError) return cancelled(options.finishedAt);
  if (options.abortReason instanceof ServerStoppingError) return failed(options.abortReason, options);
  return failed(error, options);
}

export function interruptedByRestart(requestId: string): ServerStoppingError {
  return new ServerStoppingError(
    `Request '${requestId}' was interrupted by an API server restart and will not be resumed. ` +
      "Please re-submit the original request.",
  );
}
