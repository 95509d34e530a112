import { RequestCancelledError, RequestInterruptedError, RequestNotFoundError, SkyError } from "../shared/errors.ts";
import { Reconnector } from "./reconnect.ts";
import { errorOfAnswer, errorOfPayload } from "./remote-errors.ts";
import { resumableEvents, type OpenedStream } from "./resumable-stream.ts";
import type { Session } from "./session.ts";
import type { StreamEvent } from "./stream-decoder.ts";
import { readText } from "./transport.ts";
import type { RequestPayload, RequestState } from "./wire-types.ts";

export interface RequestOptions<T> {
  readonly session: Session;
  /** Name on the wire, e.g. `sky.launch`. */
  readonly name: string;
  /** The id, as soon as the server has the request. */
  readonly id: Promise<string>;
  /** Makes the result of the parsed `return_value`. */
  readonly decode: (value: unknown) => T;
  /** Ends the waiting; the request itself goes on, unless `abortBehavior` says otherwise. */
  readonly signal?: AbortSignal | undefined;
  readonly abortBehavior?: "detach" | "cancel" | undefined;
}

/**
 * An operation that runs on the server. Awaiting it gives the result, or throws the operation's error; `events()` gives its log. The
 * operation goes on when nobody waits.
 */
export class Request<T> implements PromiseLike<T>, AsyncDisposable {
  readonly name: string;
  /** Rejects when the server did not take the request. */
  readonly id: Promise<string>;
  readonly #options: RequestOptions<T>;
  #result: Promise<T> | undefined;
  #settled = false;

  constructor(options: RequestOptions<T>) {
    this.name = options.name;
    this.#options = options;
    this.id = options.id;
    // Whoever awaits the request sees the error; nobody has to look at `id`.
    this.id.catch(() => undefined);
    const { signal } = options;
    if (options.abortBehavior === "cancel" && signal !== undefined) {
      signal.addEventListener("abort", () => void this.cancel().catch(() => undefined), { once: true });
    }
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a request is awaited for its result, as the SDK promises
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result().then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.result().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.result().finally(onFinally);
  }

  /** The result; the same promise every time. */
  result(): Promise<T> {
    this.#result ??= this.#fetchResult().finally(() => (this.#settled = true));
    return this.#result;
  }

  /** The operation's log and spinner changes, until it ends. Goes on where it was after a lost connection. */
  async *events(): AsyncGenerator<StreamEvent, void, void> {
    const { session, signal } = this.#options;
    const id = await this.id;
    const open = async (resumeAt: number | undefined): Promise<OpenedStream> => {
      const answer = await session.call("GET", "/api/stream", {
        query: { request_id: id, follow: "True", format: "console", ...offsetQuery(session, resumeAt) },
        direct: true,
        signal,
      });
      const startsAt = answer.headers["x-skypilot-log-offset"];
      return { answer, startsAt: typeof startsAt === "string" ? Number(startsAt) : undefined };
    };
    for await (const event of resumableEvents(session, open, signal)) {
      if (event.kind === "retry") {
        throw new RequestInterruptedError(`Request '${id}' was interrupted by the API server.`, {
          hint: "send it again",
        });
      }
      yield event;
    }
  }

  /** Writes the log to a stream, without spinner texts. */
  async stream(out: NodeJS.WritableStream): Promise<T> {
    for await (const event of this.events()) {
      if (event.kind === "text") out.write(event.bytes);
    }
    return await this.result();
  }

  /** Asks the server to cancel the operation; resolves when it took that request. */
  async cancel(): Promise<void> {
    const { session } = this.#options;
    const answer = await session.call("POST", "/api/cancel", { json: { request_ids: [await this.id], user_id: null } });
    answer.body.resume();
  }

  /** Leaves the operation to itself: a later end of scope does not cancel it. */
  detach(): void {
    this.#settled = true;
  }

  async status(): Promise<RequestState> {
    const { session } = this.#options;
    const query = { request_ids: [await this.id], all_status: "True" };
    const rows = await session.json<readonly RequestPayload[]>("GET", "/api/status", { query });
    const row = rows[0];
    if (row === undefined) throw notFound(await this.id);
    return row.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#settled && this.#options.abortBehavior === "cancel") await this.cancel();
  }

  async #fetchResult(): Promise<T> {
    const { session, signal, decode } = this.#options;
    const payload = await fetchPayload(session, await this.id, signal);
    if (payload.status === "CANCELLED") throw new RequestCancelledError(`Request ${payload.request_id} was cancelled.`);
    const error = errorOfPayload(payload.error);
    if (error !== undefined) throw error;
    return decode(JSON.parse(payload.return_value));
  }
}

function offsetQuery(session: Session, resumeAt: number | undefined): Record<string, number> {
  return session.isOurServer ? { offset: resumeAt ?? 0 } : {};
}

function notFound(id: string): RequestNotFoundError {
  return new RequestNotFoundError(`Request '${id}' not found`, { hint: "sky api status -a" });
}

/** Waits until the request has ended, over lost connections. A failed request gives its payload too. */
async function fetchPayload(session: Session, id: string, signal: AbortSignal | undefined): Promise<RequestPayload> {
  const reconnector = new Reconnector(session, signal);
  while (true) {
    try {
      const answer = await session.transport.send("GET", "/api/get", { query: { request_id: id }, signal });
      const text = await readText(answer);
      if (answer.status === 503) {
        await session.options.clock.sleep(1000, signal === undefined ? {} : { signal });
        continue;
      }
      if (answer.status === 404) throw notFound(id);
      const body: unknown = parseJson(text);
      if (answer.status === 200 && isPayload(body)) return body;
      const detail = typeof body === "object" && body !== null && "detail" in body ? body.detail : undefined;
      if (answer.status === 500 && isPayload(detail)) return detail;
      throw errorOfAnswer(answer.status, "/api/get", text);
    } catch (error) {
      if (error instanceof SkyError) throw error;
      await reconnector.waitAfter(error);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPayload(value: unknown): value is RequestPayload {
  return typeof value === "object" && value !== null && "request_id" in value && "status" in value;
}
