import { randomBytes, randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import { encodeMessage, newMessage } from "../../../src/session-manager/message.ts";
import { AgentEnd } from "./agent-end.ts";

/** How frames between client and agent fare; a test may change all of it at any time. */
export interface Weather {
  /** Parts of all frames, 0…1. */
  loss: number;
  duplication: number;
  reordering: number;
  /** After how many bytes of frames of the client it is told to pause, and for how long; 0 = never. */
  pauseEveryBytes: number;
  pauseMs: number;
  /** After how many bytes of frames, both ways, the connection breaks; 0 = never. */
  cutEveryBytes: number;
  /** One way. */
  latencyMs: number;
}

export interface SeenSession {
  readonly id: string;
  readonly target: string;
  readonly document: string;
  readonly parameters: unknown;
  state: "connected" | "terminated";
  /** How it ended: by a call, by a flag of the client, by the agent. */
  endedBy: string | undefined;
  resumes: number;
  cuts: number;
  pauses: number;
  /** Frames of data that came although the client had been told to pause, with time to hear of it. */
  ignoredPauses: number;
  clientVersion: string | undefined;
  /** What went to the client since its connection was cut last. */
  bytes: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: object;
}

interface Session extends SeenSession {
  token: string;
  socket: WebSocket | undefined;
  agent: AgentEnd | undefined;
  pausedUntilMs: number;
  bytesOfClient: number;
}

export interface ServiceOptions {
  /** Connects to a port of an instance, from the instance itself. */
  readonly dial: (target: string, port: number) => Promise<Duplex>;
  /** The instances whose agent is there. */
  readonly isOnline: (target: string) => Promise<boolean>;
  /** `ws://host:port` under which clients find the data channels. */
  readonly streamUrl: () => string;
  /** 0 ≤ n < 1 */
  readonly random?: () => number;
}

/** Time for a client to hear that it shall pause. */
const HEARING_MS = 1000;
const CALM: Weather = {
  loss: 0,
  duplication: 0,
  reordering: 0,
  pauseEveryBytes: 0,
  pauseMs: 50,
  cutEveryBytes: 0,
  latencyMs: 0,
};

/** AWS Systems Manager as far as sessions go: its calls, its data channels and the agents on the instances. */
export class SessionManagerService {
  readonly sessions: SeenSession[] = [];
  readonly weather: Weather = { ...CALM };
  /** What went wrong that a client must not do. */
  readonly complaints: string[] = [];
  /** What the agents ask for besides a session with a port. */
  moreActions: readonly object[] = [];
  readonly #options: ServiceOptions;
  readonly #open = new Map<string, Session>();
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** A fair day again. */
  calm(): void {
    Object.assign(this.weather, CALM);
  }

  /** Answers a call of the API; undefined = another service's. */
  async call(operation: string, input: Readonly<Record<string, unknown>>): Promise<ApiAnswer | undefined> {
    switch (operation) {
      case "StartSession":
        return this.#start(input);
      case "ResumeSession":
        return this.#resume(String(input["SessionId"]));
      case "TerminateSession":
        return this.#terminate(String(input["SessionId"]));
      case "DescribeInstanceInformation":
        return this.#describe(input);
      default:
        return undefined;
    }
  }

  /** Opens the data channel of a session. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = new URL(request.url ?? "/", "http://service").pathname;
    const session = this.#open.get(/^\/v1\/data-channel\/([^/]+)$/u.exec(path)?.[1] ?? "");
    if (session === undefined) {
      this.complaints.push(`There is no data channel ${path}.`);
      socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#connect(session, client));
  }

  /** Ends every session and connection. */
  close(): void {
    for (const session of this.#open.values()) {
      session.agent?.end();
      session.socket?.terminate();
    }
    this.#open.clear();
    for (const client of this.#sockets.clients) client.terminate();
  }

  async #start(input: Readonly<Record<string, unknown>>): Promise<ApiAnswer> {
    const target = String(input["Target"]);
    if (!(await this.#options.isOnline(target))) return error("TargetNotConnected", `${target} is not connected.`);
    const id = `user-${randomBytes(8).toString("hex")}`;
    const session: Session = {
      id,
      target,
      document: String(input["DocumentName"]),
      parameters: input["Parameters"],
      state: "connected",
      endedBy: undefined,
      resumes: 0,
      cuts: 0,
      pauses: 0,
      ignoredPauses: 0,
      clientVersion: undefined,
      token: newToken(),
      socket: undefined,
      agent: undefined,
      bytes: 0,
      bytesOfClient: 0,
      pausedUntilMs: 0,
    };
    this.#open.set(id, session);
    this.sessions.push(session);
    return { status: 200, body: this.#stream(session) };
  }

  #resume(id: string): ApiAnswer {
    const session = this.#open.get(id);
    if (session === undefined) return error("DoesNotExistException", `Session ${id} does not exist.`);
    session.resumes += 1;
    session.token = newToken();
    return { status: 200, body: this.#stream(session) };
  }

  #terminate(id: string): ApiAnswer {
    const session = this.#open.get(id);
    if (session !== undefined) this.#end(session, "call", "");
    return { status: 200, body: { SessionId: id } };
  }

  async #describe(input: Readonly<Record<string, unknown>>): Promise<ApiAnswer> {
    const filters = (input["Filters"] ?? []) as { Key: string; Values: string[] }[];
    const ids = filters.find((each) => each.Key === "InstanceIds")?.Values ?? [];
    const states = await Promise.all(ids.map((id) => this.#options.isOnline(id)));
    const InstanceInformationList = ids
      .filter((_, index) => states[index])
      .map((InstanceId) => ({ InstanceId, PingStatus: "Online", AgentVersion: "3.3.2299.0" }));
    return { status: 200, body: { InstanceInformationList } };
  }

  #stream({ id, token }: Session): object {
    const StreamUrl = `${this.#options.streamUrl()}/v1/data-channel/${id}?role=publish_subscribe`;
    return { SessionId: id, TokenValue: token, StreamUrl };
  }

  #connect(session: Session, client: WebSocket): void {
    let isAdmitted = false;
    client.on("error", () => client.terminate());
    client.on("message", (data: Buffer, isBinary) => {
      if (isAdmitted && isBinary) this.#fromClient(session, data);
      else if (!isAdmitted && !isBinary && this.#admits(session, data)) {
        isAdmitted = true;
        session.socket?.terminate();
        session.socket = client;
        session.agent ??= this.#openAgent(session);
      } else {
        this.complaints.push(`A client of ${session.id} was not let in.`);
        client.close(1008, "Invalid token");
      }
    });
    client.once("close", () => {
      if (session.socket === client) session.socket = undefined;
    });
  }

  /** A token opens one channel. */
  #admits(session: Session, words: Buffer): boolean {
    const { TokenValue, MessageSchemaVersion, ClientId } = JSON.parse(words.toString("utf8")) as Record<string, string>;
    if (MessageSchemaVersion !== "1.0" || ClientId === undefined || TokenValue !== session.token) return false;
    session.token = newToken();
    return true;
  }

  #openAgent(session: Session): AgentEnd {
    const parameters = session.parameters as { readonly portNumber?: readonly string[] } | undefined;
    const portNumber = parameters?.portNumber?.[0] ?? "22";
    const sessionType = {
      ActionType: "SessionType",
      ActionParameters: { SessionType: "Port", Properties: { portNumber } },
    };
    const agent = new AgentEnd({
      actions: [sessionType, ...this.moreActions],
      dial: () => this.#options.dial(session.target, Number(portNumber)),
      send: (frame) => this.#toClient(session, frame),
      closed: (words) => this.#end(session, words === "" ? "agent" : words, words),
    });
    void agent.clientVersion.promise.then((version) => (session.clientVersion = version));
    return agent;
  }

  #fromClient(session: Session, frame: Buffer): void {
    const now = Date.now();
    const isData = frame.toString("latin1", 4, 21) === "input_stream_data";
    if (now < session.pausedUntilMs) {
      if (isData && now > session.pausedUntilMs - this.weather.pauseMs + HEARING_MS) session.ignoredPauses += 1;
      // What comes meanwhile is lost.
      if (isData) return;
    }
    session.bytesOfClient += frame.length;
    const { pauseEveryBytes } = this.weather;
    if (pauseEveryBytes > 0 && session.bytesOfClient > pauseEveryBytes) this.#pause(session);
    this.#pass(session, frame, (each) => session.agent?.receive(each));
  }

  #pause(session: Session): void {
    session.bytesOfClient = 0;
    session.pauses += 1;
    session.pausedUntilMs = Date.now() + this.weather.pauseMs;
    const say = (type: "pause_publication" | "start_publication"): void =>
      session.socket?.send(encodeMessage(newMessage({ type, createdMs: Date.now(), payload: Buffer.alloc(0) })));
    say("pause_publication");
    setTimeout(() => say("start_publication"), this.weather.pauseMs);
  }

  #toClient(session: Session, frame: Buffer): void {
    this.#pass(session, frame, (each) => session.socket?.send(each));
  }

  #pass(session: Session, frame: Buffer, deliver: (frame: Buffer) => void): void {
    const { weather } = this;
    session.bytes += frame.length;
    if (weather.cutEveryBytes > 0 && session.bytes > weather.cutEveryBytes) {
      session.bytes = 0;
      session.cuts += 1;
      session.socket?.terminate();
      return;
    }
    const random = this.#options.random ?? Math.random;
    if (random() < weather.loss) return;
    const copies = random() < weather.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const delayMs = weather.latencyMs + (random() < weather.reordering ? 1 + random() * 20 : 0);
      if (delayMs === 0) deliver(frame);
      else setTimeout(() => deliver(frame), delayMs);
    }
  }

  #end(session: Session, by: string, words: string): void {
    if (!this.#open.delete(session.id)) return;
    session.state = "terminated";
    session.endedBy = by;
    session.agent?.end();
    const content = {
      MessageType: "channel_closed",
      MessageId: randomUUID(),
      DestinationId: session.target,
      SessionId: session.id,
      CreatedDate: new Date().toISOString(),
      SchemaVersion: 1,
      Output: words,
    };
    const payload = Buffer.from(JSON.stringify(content));
    session.socket?.send(encodeMessage(newMessage({ type: "channel_closed", createdMs: Date.now(), payload })));
    session.socket?.close(1000);
  }
}

/** Easy to find where it must not be. */
function newToken(): string {
  return `SESSIONTOKEN${randomUUID()}`;
}

function error(code: string, message: string): ApiAnswer {
  return { status: 400, body: { __type: code, message } };
}
