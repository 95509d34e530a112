import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { ApiServerConnectionError, OperationFailedError, type SkyError } from "../shared/errors.ts";
import { SessionGoneError, type Sessions, type Stream } from "./carry.ts";
import { lineReader, type DoorAnswer, type DoorError, type DoorRequest } from "./door-protocol.ts";

export interface DoorPlace {
  /** Path of the API server's socket. */
  readonly door: string;
  readonly instance: string;
  readonly region: string;
}

/**
 * Asks the API server for sessions. The connection stays open, because the server ends a session whose proxy is gone; when the server was
 * started again meanwhile, the next question opens a new one.
 */
export class DoorClient implements Sessions {
  readonly #place: DoorPlace;
  readonly #waiting = new Map<number, (answer: DoorAnswer) => void>();
  #socket: Promise<Socket> | undefined;
  #count = 0;

  constructor(place: DoorPlace) {
    this.#place = place;
  }

  start(): Promise<Stream> {
    return this.#askStream({ call: "start" });
  }

  resume(sessionId: string): Promise<Stream> {
    return this.#askStream({ call: "resume", sessionId });
  }

  async end(sessionId: string): Promise<void> {
    await this.#ask({ call: "end", sessionId });
    this.close();
  }

  close(): void {
    void this.#socket?.then((socket) => socket.destroy()).catch(() => undefined);
    this.#socket = undefined;
  }

  async #askStream(question: Pick<DoorRequest, "call" | "sessionId">): Promise<Stream> {
    const { stream } = await this.#ask(question);
    if (stream === undefined) throw new OperationFailedError("The API server gave no session.");
    return stream;
  }

  async #ask(question: Pick<DoorRequest, "call" | "sessionId">): Promise<DoorAnswer> {
    const socket = await (this.#socket ??= this.#connect());
    this.#count += 1;
    const id = this.#count;
    const { instance, region } = this.#place;
    const answered = Promise.withResolvers<DoorAnswer>();
    this.#waiting.set(id, answered.resolve);
    socket.write(`${JSON.stringify({ id, instance, region, ...question } satisfies DoorRequest)}\n`);
    const answer = await answered.promise;
    if (answer.error !== undefined) throw errorOf(answer.error);
    return answer;
  }

  async #connect(): Promise<Socket> {
    const socket = createConnection(this.#place.door);
    try {
      await once(socket, "connect");
    } catch (error) {
      this.#socket = undefined;
      throw new ApiServerConnectionError("The API server of this machine does not run.", {
        cause: error,
        hint: "sky api start",
      });
    }
    socket.setEncoding("utf8");
    socket.on(
      "data",
      lineReader((line) => this.#take(JSON.parse(line) as DoorAnswer)),
    );
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.#socket = undefined;
      const error = { message: "The API server ended." };
      const answers = [...this.#waiting];
      this.#waiting.clear();
      for (const [id, answer] of answers) answer({ id, error });
    });
    return socket;
  }

  #take(answer: DoorAnswer): void {
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}

function errorOf({ message, hint, isGone }: DoorError): SkyError {
  const options = hint === undefined ? {} : { hint };
  return isGone === true ? new SessionGoneError(message, options) : new OperationFailedError(message, options);
}
