import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";

const HTTP_PRECONDITION_FAILED = 412;
const MAX_REDIRECTS = 5;
/** A server that sends nothing for this long is given up. */
const IDLE_MS = 60_000;

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
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Connections that are kept between requests, and end by themselves when they are not used. */
export interface HttpConnections {
  get(url: string, options: GetOptions): Promise<IncomingMessage>;
  close(): void;
}

export async function openConnections(): Promise<HttpConnections> {
  // They take as long to load as all of the agent, and most agents never download.
  const [http, https] = await Promise.all([import("node:http"), import("node:https")]);
  // The time is also how long a connection waits for the next request.
  const settings = { keepAlive: true, maxSockets: 64, timeout: IDLE_MS };
  const schemes: Readonly<Record<string, Scheme>> = {
    "http:": { agent: new http.Agent(settings), request: http.request },
    "https:": { agent: new https.Agent(settings), request: https.request },
  };
  const inFlight = new InFlight();
  const once = (url: string, { headers, signal }: GetOptions) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      signal.throwIfAborted();
      const target = new URL(url);
      const scheme = schemes[target.protocol];
      if (scheme === undefined) throw new Error(`${target.protocol} is no protocol of the web`);
      const request = scheme.request({ ...optionsOf(target, headers), agent: scheme.agent }, resolve);
      request.on("timeout", () => request.destroy(new Error(`${placeOf(target)} sent nothing for a minute`)));
      request.on("error", reject);
      inFlight.add(request, signal);
      request.end();
    });
  return {
    get: async (url, options) => {
      let target = url;
      for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
        const response = await once(target, options);
        const { statusCode: status = 0, headers } = response;
        if (status === 200 || status === 206) return response;
        response.resume();
        if (status < 300 || status >= 400 || headers.location === undefined) throw refusal(status, new URL(target));
        target = new URL(headers.location, target).href;
      }
      throw new HttpRefusal(310, `${placeOf(new URL(target))} (after ${MAX_REDIRECTS} redirects)`);
    },
    close: () => {
      for (const { agent } of Object.values(schemes)) agent.destroy();
    },
  };
}

/** What a URL and an object of headers would be made into takes a fifth of the time of a small file. */
function optionsOf(url: URL, headers: GetOptions["headers"]): RequestOptions {
  const { hostname, port, host, pathname, search, username, password } = url;
  const keys = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const login = username === "" ? [] : ["Authorization", `Basic ${Buffer.from(keys).toString("base64")}`];
  return {
    hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    port,
    path: pathname + search,
    headers: ["Host", host, ...login, ...Object.entries(headers).flat()],
  };
}

/** Requests under way by the signal that ends them: with a listener for each, this takes as long as sending them. */
class InFlight {
  readonly #bySignal = new WeakMap<AbortSignal, Set<ClientRequest>>();

  add(request: ClientRequest, signal: AbortSignal): void {
    const requests = this.#requestsOf(signal);
    requests.add(request);
    request.once("close", () => requests.delete(request));
  }

  #requestsOf(signal: AbortSignal): Set<ClientRequest> {
    const known = this.#bySignal.get(signal);
    if (known !== undefined) return known;
    const requests = new Set<ClientRequest>();
    this.#bySignal.set(signal, requests);
    const endAll = (): void => requests.forEach((request) => request.destroy(signal.reason as Error));
    signal.addEventListener("abort", endAll, { once: true });
    return requests;
  }
}

interface Scheme {
  readonly agent: Agent;
  readonly request: (options: RequestOptions, onResponse: (response: IncomingMessage) => void) => ClientRequest;
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
