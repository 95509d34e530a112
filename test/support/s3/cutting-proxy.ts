import { readFileSync } from "node:fs";
import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, request as sendSecurely } from "node:https";
import type { AddressInfo } from "node:net";

interface Tls {
  readonly certificate: string;
  readonly key: string;
}

/** A way to a server that speaks S3, on which connections break. */
export class CuttingProxy {
  /** Numbers of the parts that were sent through it. */
  readonly parts: number[] = [];
  /** After so many parts every connection breaks, until it is raised. */
  partsUntilCut = Infinity;
  /** What is refused instead, by its method and path. */
  refuses: (call: string) => boolean = () => false;
  /** Whether parts are listed in pages of one. */
  listsByOne = false;
  /** Told of each part that was taken. */
  onPart: () => void = () => undefined;
  readonly #upstream: string;
  readonly #server: Server;
  readonly #isSecure: boolean;

  private constructor(upstream: string, tls?: Tls) {
    this.#upstream = upstream;
    this.#isSecure = tls !== undefined;
    const answer = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response);
    this.#server =
      tls === undefined
        ? createServer(answer)
        : createSecureServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, answer);
  }

  /** By TLS to whom it stands before by TLS. */
  static async start(upstream: string, tls?: Tls): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(upstream, tls);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http${this.#isSecure ? "s" : ""}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = "GET", url = "/", headers } = request;
    const part = method === "PUT" ? new URL(url, "http://s3").searchParams.get("partNumber") : null;
    if (this.parts.length >= this.partsUntilCut) return void request.socket.destroy();
    if (this.refuses(`${method} ${url}`)) {
      request.resume();
      response.writeHead(403, { "content-type": "application/xml" });
      return void response.end("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
    }
    if (part !== null) this.parts.push(Number(part));
    const to = new URL(url, this.#upstream);
    const isPaged = this.listsByOne && method === "GET" && to.searchParams.has("uploadId");
    const options = { method, headers, rejectUnauthorized: false };
    const call = (this.#isSecure ? sendSecurely : send)(to, options, (answer) => {
      if (isPaged) return void firstPart(answer).then((page) => response.end(page));
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
      if (part !== null) answer.on("end", () => this.onPart());
    });
    call.on("error", () => request.socket.destroy());
    request.pipe(call);
  }
}

/** The same answer as a page that ends after its first part; the next is asked for by that part's number, as S3 has it. */
async function firstPart(answer: IncomingMessage): Promise<string> {
  const text = (await answer.setEncoding("utf8").toArray()).join("");
  const [first = "", ...more] = text.match(/<Part>.*?<\/Part>/gsu) ?? [];
  const [number = "0"] = /(?<=<PartNumber>)\d+/u.exec(first) ?? [];
  return [...more, /<NextPartNumberMarker>\d+<\/NextPartNumberMarker>/u]
    .reduce<string>((page, what) => page.replace(what, ""), text)
    .replace(
      /<IsTruncated>\w+/u,
      `<NextPartNumberMarker>${number}</NextPartNumberMarker><IsTruncated>${more.length > 0}`,
    );
}
