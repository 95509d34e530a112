import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { SessionManagerService } from "../session-manager/service.ts";
import { Ec2World, type Refusal } from "./ec2-world.ts";

const JSON_TYPE = "application/x-amz-json-1.1";

/** One request to AWS. */
export interface SeenCall {
  /** `ec2:RunInstances` */
  readonly action: string;
  readonly region: string;
  readonly params: URLSearchParams;
  /** Whether the service speaks JSON. */
  readonly isJson: boolean;
  readonly atMs: number;
}

/**
 * What goes wrong with a call. `refuse` = an error instead of the effect; `lose` = the effect happens, the connection breaks;
 * `fail` = the effect happens, the answer is an error 500; `cut` = the connection breaks before anything; `late` = both, later.
 */
export type Fault =
  | ({ readonly kind: "refuse" } & Refusal)
  | { readonly kind: "lose" | "fail" | "cut" }
  | { readonly kind: "late"; readonly ms: number };

export const THROTTLED: Fault = {
  kind: "refuse",
  status: 503,
  code: "RequestLimitExceeded",
  message: "Request limit exceeded.",
};

/** AWS as it is on a bad day: moto behind a proxy that adds what moto lacks, and what a test asks for. */
export class FaultProxy {
  readonly world = new Ec2World();
  /** Systems Manager's sessions, which moto does not have. */
  sessions: SessionManagerService | undefined;
  readonly calls: SeenCall[] = [];
  /** Asked for each call. */
  faultOf: (call: SeenCall) => Fault | undefined = () => undefined;
  /** EC2 calls in a second before it throttles. */
  callsPerSecond = Infinity;
  /** Added to each call. */
  latencyMs = 0;
  /** Told of each call that moto has obeyed. */
  onDone: (call: SeenCall, answer: string) => void = () => undefined;
  /** Whether the connection breaks after the call was obeyed; asked after `onDone`. */
  isLost: (call: SeenCall) => boolean = () => false;
  readonly #server: Server;
  readonly #more: Server[] = [];
  readonly #handle = (request: IncomingMessage, response: ServerResponse): void => {
    this.#answer(request, response).catch((error: unknown) => {
      response.writeHead(599).end(String(error));
    });
  };
  readonly #moto: string;
  /** One launch at a time, as idempotency wants. */
  #launches: Promise<unknown> = Promise.resolve();

  private constructor(moto: string) {
    this.#moto = moto;
    this.#server = this.#newServer();
  }

  #newServer(): Server {
    const server = createServer(this.#handle);
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (this.sessions === undefined) socket.destroy();
      else this.sessions.upgrade(request, socket, head);
    });
    return server;
  }

  static async open(moto: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(moto);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  async close(): Promise<void> {
    this.sessions?.close();
    for (const server of [this.#server, ...this.#more]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Listens at a socket file too, for programs in another network. */
  async listenAt(path: string): Promise<void> {
    const server = this.#newServer();
    this.#more.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How often each action was asked for. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      [...Map.groupBy(this.calls, (call) => call.action)].map(([key, list]) => [key, list.length]),
    );
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const call = readCall(message, body);
    this.calls.push(call);
    if (this.latencyMs > 0) await pause(this.latencyMs);
    const fault = this.#isTooFast(call) ? THROTTLED : this.faultOf(call);
    if (fault?.kind === "cut") return void message.socket.destroy();
    if (fault?.kind === "refuse") return refuse(response, call, fault);
    if (fault?.kind === "late") await pause(fault.ms);
    const answer = await this.#perform(message, body, call);
    if (fault?.kind === "lose" || this.isLost(call)) return void message.socket.destroy();
    if (fault?.kind === "fail") {
      return refuse(response, call, { status: 500, code: "InternalError", message: "An internal error has occurred" });
    }
    if ("code" in answer) return refuse(response, call, answer);
    response.writeHead(answer.status, { "content-type": answer.type });
    response.end(answer.text);
  }

  #isTooFast(call: SeenCall): boolean {
    if (!call.action.startsWith("ec2:")) return false;
    const since = call.atMs - 1000;
    const recent = this.calls.filter((each) => each.atMs > since && each.action.startsWith("ec2:")).length;
    return recent > this.callsPerSecond;
  }

  async #perform(message: IncomingMessage, body: Buffer, call: SeenCall): Promise<Answer> {
    if (call.action !== "ec2:RunInstances") return this.#send(message, body, call);
    const turn = this.#launches.then(() => this.#send(message, body, call));
    this.#launches = turn.catch(() => undefined);
    return turn;
  }

  async #send(message: IncomingMessage, body: Buffer, call: SeenCall): Promise<Answer> {
    const { region, params } = call;
    const action = call.action.split(":")[1] ?? "";
    const type = "text/xml";
    if (action === "RunInstances") {
      const before = this.world.replay(params);
      if (before !== undefined) return typeof before === "string" ? { status: 200, type, text: before } : before;
    }
    if (action === "DescribeCapacityReservations")
      return { status: 200, type, text: this.world.reservations(region, params) };
    if (action === "GetServiceQuota") {
      const answer = this.world.quota(region, params);
      return typeof answer === "string" ? { status: 200, type: JSON_TYPE, text: answer } : answer;
    }
    if (this.sessions !== undefined && call.action.startsWith("ssm:")) {
      const answer = await this.sessions.call(action, JSON.parse(body.toString("utf8")) as Record<string, unknown>);
      if (answer !== undefined) return { status: answer.status, type: JSON_TYPE, text: JSON.stringify(answer.body) };
    }
    const grouped = this.world.placement.answer(action, region, params);
    if (grouped !== undefined) return typeof grouped === "string" ? { status: 200, type, text: grouped } : grouped;
    const refusal = this.world.refuse(action, params, region);
    if (refusal !== undefined) return refusal;
    const answer = await this.#forward(message, body);
    if (answer.status !== 200) return answer;
    this.onDone(call, answer.text);
    return { ...answer, text: this.world.observe(action, params, answer.text, region) };
  }

  async #forward(message: IncomingMessage, body: Buffer): Promise<PlainAnswer> {
    const headers = Object.entries(message.headers).flatMap(([name, value]): [string, string][] =>
      typeof value === "string" && !["host", "connection", "content-length", "expect"].includes(name)
        ? [[name, value]]
        : [],
    );
    const answer = await fetch(`${this.#moto}${message.url ?? "/"}`, {
      method: message.method ?? "GET",
      headers,
      ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
    });
    return { status: answer.status, type: answer.headers.get("content-type") ?? "text/xml", text: await answer.text() };
  }
}

interface PlainAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

type Answer = PlainAnswer | Refusal;

function readCall(message: IncomingMessage, body: Buffer): SeenCall {
  const scope = /Credential=[^/]+\/[^/]+\/([^/]+)\/([^/]+)\//u.exec(message.headers.authorization ?? "");
  const [, region = "", service = ""] = scope ?? [];
  const target = message.headers["x-amz-target"];
  const text = body.toString("utf8");
  const params = new URLSearchParams(target === undefined ? text : textsOf(text));
  const operation =
    typeof target === "string" ? (target.split(".").at(-1) ?? "") : (params.get("Action") ?? message.method ?? "");
  const isJson = target !== undefined;
  return { action: `${service}:${operation}`, region, params, isJson, atMs: Date.now() };
}

/** The texts of a JSON body. */
function textsOf(body: string): Record<string, string> {
  const fields = Object.entries(JSON.parse(body === "" ? "{}" : body) as Record<string, unknown>);
  return Object.fromEntries(fields.flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])));
}

function refuse(response: ServerResponse, call: SeenCall, { status, code, message }: Refusal): void {
  if (call.isJson) {
    response.writeHead(status, { "content-type": JSON_TYPE });
    response.end(JSON.stringify({ __type: code, message }));
    return;
  }
  response.writeHead(status, { "content-type": "text/xml" });
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.end(
    call.action.startsWith("ec2:")
      ? `<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`
      : `<ErrorResponse>${error}<RequestId>r</RequestId></ErrorResponse>`,
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
