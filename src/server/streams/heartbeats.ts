import { renderControl } from "../../shared/wire/control-lines.ts";
import { encodeText } from "./byte-stream.ts";

const NEWLINE = 0x0a;

/**
 * Passes chunks on, with a heartbeat after each time of silence. Heartbeats are sent only where a line begins, so that they never
 * cut one.
 */
export async function* withHeartbeats(
  chunks: AsyncIterable<Uint8Array>,
  options: { readonly everyMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  let isLineStart = true;
  try {
    let next = iterator.next();
    while (!options.signal.aborted) {
      const result = await raceWithTimer(next, options);
      if (result === "abort") {
        next.catch(() => undefined);
        return;
      }
      if (result === "silence") {
        if (isLineStart) yield encodeText(renderControl({ kind: "heartbeat" }));
        continue;
      }
      if (result.done === true) return;
      if (result.value.length > 0) isLineStart = result.value.at(-1) === NEWLINE;
      yield result.value;
      next = iterator.next();
    }
  } finally {
    // A source that waits would keep this waiting too; it ends by its own signal.
    iterator.return?.().catch(() => undefined);
  }
}

function raceWithTimer<T>(
  promise: Promise<T>,
  options: { readonly everyMs: number; readonly signal: AbortSignal },
): Promise<T | "silence" | "abort"> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => (): void => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", abort);
      end();
    };
    const abort = settle(() => resolve("abort"));
    const timer = setTimeout(
      settle(() => resolve("silence")),
      options.everyMs,
    );
    options.signal.addEventListener("abort", abort, { once: true });
    promise.then(
      (value) => settle(() => resolve(value))(),
      (error: unknown) => settle(() => reject(error))(),
    );
  });
}
