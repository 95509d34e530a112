import type { Agent, Dispatcher } from "undici-types";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";

const HTTP_PRECONDITION_FAILED = 412;
const MAX_REDIRECTS = 5;
/** A server that sends nothing for this long is given up. */
const IDLE_MS = 60_000;
/** To one server. */
const MAX_CONNECTIONS = 64;

/** A refusal that a repetition does not change. */
export class HttpRefusal extends AgentPeerError {
  constructor(status: number, place: string) {
    const isReplaced = status === HTTP_PRECONDITION_FAILED;
    super(
      "FETCH_REFUSED",
      isReplaced ? `${place} was replaced while it was copied.` : `${place} answered with HTTP status ${status}.`,
      isReplaced ? { hint: "Repeat the command when nothing writes to it." } : {},
    );
  }
}

export interface GetOptions {
  /** One with `range` is refused where the server sends anything else. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Gets the body piece by piece; the next one comes when what it returned is done. */
  readonly take: (chunk: Buffer) => void | Promise<unknown>;
}

/** Connections that are kept between requests, and end by themselves when they are not used. */
export interface HttpConnections {
  /** Resolves when all of the body was taken. Throws HttpRefusal, and what may pass: errors of the network, answers that a server takes back later. */
  get(url: string, options: GetOptions): Promise<void>;
  close(): void;
}

export function openConnections(): HttpConnections {
  const agent = new (findAgent())({
    connections: MAX_CONNECTIONS,
    connect: { timeout: IDLE_MS },
    headersTimeout: IDLE_MS,
    bodyTimeout: IDLE_MS,
  });
  const inFlight = new InFlight();
  return {
    get: async (url, options) => {
      let target = url;
      for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
        const location = await getOnce(target, { ...options, agent, inFlight });
        if (location === undefined) return;
        target = new URL(location, target).href;
      }
      throw new HttpRefusal(310, `${placeOf(new URL(target))} (after ${MAX_REDIRECTS} redirects)`);
    },
    close: () => void agent.destroy(),
  };
}

/**
 * The HTTP client inside Node (undici) below its `fetch`, without streams: a small file costs a third of what it does by node:http.
 * It is where undici's documentation says that copies of it find each other: https://undici.nodejs.org/#/docs/api/GlobalInstallation
 */
function findAgent(): AgentClass {
  // Loads it: it takes as long as all of this agent, and most agents never download.
  void globalThis.Response;
  const { [Symbol.for("undici.globalDispatcher.1")]: dispatcher } = globalThis as Record<symbol, object | undefined>;
  if (dispatcher === undefined) throw new Error(`Node ${process.version} has no HTTP client inside.`);
  return dispatcher.constructor as AgentClass;
}

type AgentClass = new (options: Agent.Options) => Agent;

interface Once extends GetOptions {
  readonly agent: Agent;
  readonly inFlight: InFlight;
}

/** Resolves with where else to look, or undefined when the body was taken. */
function getOnce(url: string, { agent, inFlight, headers, signal, take }: Once): Promise<string | undefined> {
  const target = new URL(url);
  if (!/^https?:$/u.test(target.protocol)) throw new Error(`${target.protocol} is no protocol of the web`);
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const isRange = headers["range"] !== undefined;
    const onSettled = (): void => inFlight.remove(answer, signal);
    const answer = new Answer({ url: target, isRange, take, onSettled, resolve, reject });
    inFlight.add(answer, signal);
    agent.dispatch(requestOf(target, headers), answer);
  });
}

interface AnswerOptions {
  readonly url: URL;
  readonly isRange: boolean;
  readonly take: GetOptions["take"];
  /** May come twice. */
  readonly onSettled: () => void;
  readonly resolve: (location: string | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** What comes back for one request. */
class Answer implements Dispatcher.DispatchHandler {
  readonly #options: AnswerOptions;
  #controller: Dispatcher.DispatchController | undefined;
  #cancelled: Error | undefined;
  /** The body of such an answer is read to its end and dropped, so that the connection can be used again. */
  #instead: { readonly location: string } | { readonly refusal: Error } | undefined;
  #lastTaken: Promise<unknown> | undefined;

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  cancel(reason: Error): void {
    this.#fail(reason);
    this.#cancelled = reason;
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // While it waited for a connection.
    if (this.#cancelled !== undefined) controller.abort(this.#cancelled);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    { location }: { readonly location?: string | string[] },
  ): void {
    const { url, isRange } = this.#options;
    if (status === 206 || (status === 200 && !isRange)) return;
    if (status >= 300 && status < 400 && typeof location === "string") this.#instead = { location };
    // This is all of the file, which may be large.
    else if (status === 200) this.cancel(new HttpRefusal(status, `${placeOf(url)} (asked for a range)`));
    else this.#instead = { refusal: refusal(status, url) };
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // After a pause the parser says that there is nothing more so far; who paused again for that would never wait for the network.
    if (this.#instead !== undefined || chunk.length === 0) return;
    const wait = this.#options.take(chunk);
    if (wait === undefined) return;
    controller.pause();
    this.#lastTaken = wait.then(
      () => controller.resume(),
      (error: unknown) => this.cancel(error as Error),
    );
  }

  onResponseEnd(): void {
    const { resolve, onSettled } = this.#options;
    if (this.#instead === undefined) {
      onSettled();
      // After a failure of the last piece this says nothing new.
      if (this.#lastTaken === undefined) resolve(undefined);
      else void this.#lastTaken.then(() => resolve(undefined));
    } else if ("location" in this.#instead) {
      onSettled();
      resolve(this.#instead.location);
    } else this.#fail(this.#instead.refusal);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(explain(error, this.#options.url));
  }

  #fail(error: Error): void {
    this.#options.onSettled();
    this.#options.reject(error);
  }
}

/** What a URL would be made into takes a fifth of the time of a small file. */
function requestOf(url: URL, headers: GetOptions["headers"]): Dispatcher.DispatchOptions {
  const { origin, pathname, search, username, password } = url;
  const keys = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = username === "" ? {} : { authorization: `Basic ${Buffer.from(keys).toString("base64")}` };
  return { origin, path: pathname + search, method: "GET", headers: { ...authorization, ...headers } };
}

/** undici says what it waited for, and an attempt at several addresses nothing at all. */
function explain(error: Error, url: URL): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
    return new Error(`${placeOf(url)} sent nothing for a minute`, { cause: error });
  if (error instanceof AggregateError && error.message === "")
    return new Error(error.errors.map((one: Error) => one.message).join("; "), { cause: error });
  return error;
}

/** Requests under way by the signal that ends them: with a listener for each, this takes as long as sending them. */
class InFlight {
  readonly #bySignal = new WeakMap<AbortSignal, Set<Answer>>();

  add(answer: Answer, signal: AbortSignal): void {
    this.#requestsOf(signal).add(answer);
  }

  remove(answer: Answer, signal: AbortSignal): void {
    this.#bySignal.get(signal)?.delete(answer);
  }

  #requestsOf(signal: AbortSignal): Set<Answer> {
    const known = this.#bySignal.get(signal);
    if (known !== undefined) return known;
    const requests = new Set<Answer>();
    this.#bySignal.set(signal, requests);
    const endAll = (): void => requests.forEach((answer) => answer.cancel(signal.reason as Error));
    signal.addEventListener("abort", endAll, { once: true });
    return requests;
  }
}

function refusal(status: number, url: URL): Error {
  const isPassing = status >= 500 || status === 429 || status === 408;
  return isPassing
    ? new Error(`${placeOf(url)} answered with HTTP status ${status}`)
    : new HttpRefusal(status, placeOf(url));
}

/** The query is left out: it may carry the right to read. */
export function placeOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
