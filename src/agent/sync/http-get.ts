import type { IncomingMessage } from "node:http";
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

/** Connections that are kept between requests. */
export interface HttpConnections {
  get(url: string, options: GetOptions): Promise<IncomingMessage>;
  close(): void;
}

export async function openConnections(): Promise<HttpConnections> {
  // They take as long to load as all of the agent, and most agents never download.
  const [http, https] = await Promise.all([import("node:http"), import("node:https")]);
  const settings = { keepAlive: true, maxSockets: 64 };
  const plain = new http.Agent(settings);
  const secure = new https.Agent(settings);
  const once = (url: URL, wish: GetOptions) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const request =
        url.protocol === "https:"
          ? https.get(url, { ...wish, agent: secure }, resolve)
          : http.get(url, { ...wish, agent: plain }, resolve);
      request.setTimeout(IDLE_MS, () => request.destroy(new Error(`${placeOf(url)} sent nothing for a minute`)));
      request.on("error", reject);
    });
  return {
    get: async (url, options) => {
      let target = new URL(url);
      for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
        const response = await once(target, options);
        const { statusCode: status = 0, headers } = response;
        if (status === 200 || status === 206) return response;
        response.resume();
        if (status < 300 || status >= 400 || headers.location === undefined) throw refusal(status, target);
        target = new URL(headers.location, target);
      }
      throw new HttpRefusal(310, `${placeOf(target)} (after ${MAX_REDIRECTS} redirects)`);
    },
    close: () => {
      plain.destroy();
      secure.destroy();
    },
  };
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
