import { loadCrypto } from "../platform/random.ts";
import { ApiServerConnectionError } from "../shared/errors.ts";
import type { CallOptions, Session } from "./session.ts";
import { discard } from "./transport.ts";
import { Request } from "./request.ts";

/** Endpoints where a repeated POST with the same key starts nothing again on our own server. */
const WITH_KEY = new Set(["/launch", "/exec", "/start", "/stop", "/down", "/autostop"]);

/** Waiting options that every call takes. */
export interface WaitOptions {
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Whether an abort also cancels the operation on the server; it goes on by default. */
  readonly abortBehavior?: "detach" | "cancel" | undefined;
}

export interface SubmitOptions<T> extends WaitOptions {
  readonly name: string;
  readonly decode?: (value: unknown) => T;
  readonly query?: CallOptions["query"];
}

type Body = Readonly<Record<string, unknown>> | undefined;

/** Sends an operation and gives the request to wait for. `body` undefined makes it a GET; a promised one is waited for first. */
export function submit<T>(
  session: Session,
  path: string,
  body: Body | Promise<Body>,
  options: SubmitOptions<T>,
): Request<T> {
  return new Request<T>({
    session,
    name: options.name,
    id: send(session, path, body, options as SubmitOptions<never>),
    decode: options.decode ?? ((value) => value as T),
    signal: options.signal,
    abortBehavior: options.abortBehavior,
  });
}

async function send(
  session: Session,
  path: string,
  promised: Body | Promise<Body>,
  options: SubmitOptions<never>,
): Promise<string> {
  const body = await promised;
  const call: CallOptions = { query: options.query, signal: options.signal } as CallOptions;
  const answer =
    body === undefined
      ? await session.call("GET", path, { ...call, repeatable: true })
      : await session.call("POST", path, { ...call, ...keyed(path), json: body });
  discard(answer);
  return requestIdOf(answer.headers, session.endpoint.url);
}

function keyed(path: string): CallOptions {
  if (!WITH_KEY.has(path)) return { repeatable: !path.includes("launch") };
  const headers = { "X-SkyPilot-Idempotency-Key": loadCrypto().randomUUID() };
  return { headers, repeatable: "keyed" };
}

/** The request id that an answer carries. */
export function requestIdOf(headers: Readonly<Record<string, unknown>>, url: string): string {
  const id = headers["x-skypilot-request-id"];
  if (typeof id === "string") return id;
  throw new ApiServerConnectionError(`${url} is not a SkyPilot API server: its answer carries no request id.`);
}
