import { once } from "node:events";
import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that speaks S3, behind a door: calls that a test holds wait there until it lets them through. */
export class HeldS3 {
  /** Calls that waited, as `METHOD path?query`. */
  readonly held: string[] = [];
  /** Which calls are to wait, asked for each. */
  holds: (call: string) => boolean = () => false;
  readonly #upstream: string;
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  private constructor(upstream: string) {
    this.#upstream = upstream;
    this.#server = createServer((request, response) => {
      const call = `${request.method} ${request.url}`;
      const pass = (): void => this.#forward(request, response);
      if (!this.holds(call)) return pass();
      this.held.push(call);
      this.#waiting.push(pass);
    });
  }

  static async open(upstream: string): Promise<HeldS3> {
    const front = new HeldS3(upstream);
    front.#server.listen(0, "127.0.0.1");
    await once(front.#server, "listening");
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Lets everything through, also what waits and whose caller is still there. */
  release(): void {
    this.holds = () => false;
    for (const pass of this.#waiting) pass();
    this.#waiting = [];
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    if (request.socket.destroyed) return;
    const { method = "GET", headers, url = "/" } = request;
    const call = send(`${this.#upstream}${url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    call.on("error", () => response.destroy());
    request.pipe(call);
  }
}
