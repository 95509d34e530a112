import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../shared/clock.ts";
import { OperationFailedError, SkyError } from "../shared/errors.ts";
import { Channel, CLIENT_VERSION } from "./channel.ts";
import { openDataChannel } from "./payloads.ts";
import { openSocket, type StreamPlace, type StreamSocket } from "./socket.ts";

/** A session as the service hands it out. */
export interface Stream extends StreamPlace {
  readonly sessionId: string;
  /** Opens the data channel once. A secret: only for the first message on the WebSocket. */
  readonly token: string;
}

/** Who starts sessions, with credentials that the carrier does not have. */
export interface Sessions {
  start(): Promise<Stream>;
  /** Throws SessionGoneError when there is nothing to go on with. */
  resume(sessionId: string): Promise<Stream>;
  end(sessionId: string): Promise<void>;
}

/** The service does not know the session any more. */
export class SessionGoneError extends OperationFailedError {}

export interface CarryOptions {
  readonly sessions: Sessions;
  /** Names the other end in messages. */
  readonly target: string;
  readonly input: Readable;
  readonly output: Writable;
  /** Shows a line to people. */
  readonly notice: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const TICK_MS = 20;
const HANDSHAKE_MS = 30_000;
/** For how long a session that lost its connection is tried to be resumed. */
const RESUME_MS = 2 * 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** What input there still is gets this long to arrive after ssh has ended. */
const FAREWELL_MS = 2_000;

/**
 * Carries input and output to a port of an instance until either ends. A connection that breaks is replaced and nothing is lost. Throws
 * what the service or the agent has against it.
 */
export async function carry(options: CarryOptions): Promise<void> {
  const first = await options.sessions.start();
  const carrier = new Carrier(options, first);
  try {
    await carrier.run();
  } finally {
    carrier.dispose();
    await options.sessions.end(first.sessionId).catch(() => undefined);
  }
  await flush(options.output);
}

/** Resolves when everything was taken, or nobody is there to take it. */
async function flush(output: Writable): Promise<void> {
  if (output.writableNeedDrain)
    await Promise.race([once(output, "drain"), once(output, "close")]).catch(() => undefined);
}

class Carrier {
  readonly #options: CarryOptions;
  readonly #channel: Channel;
  readonly #first: Stream;
  readonly #ended = Promise.withResolvers<void>();
  /** Aborts everything that still waits. */
  readonly #over = new AbortController();
  readonly #clientId = randomUUID();
  #socket: StreamSocket | undefined;
  #ticks: NodeJS.Timeout | undefined;
  #isLeaving = false;

  constructor(options: CarryOptions, first: Stream) {
    this.#options = options;
    this.#first = first;
    this.#channel = new Channel({
      target: options.target,
      now: () => options.clock.now(),
      events: {
        send: (frame) => this.#send(frame),
        output: (bytes) => this.#put(bytes),
        notice: options.notice,
        room: () => void options.input.resume(),
        ended: (error) => (error === undefined ? this.#ended.resolve() : this.#ended.reject(error)),
      },
    });
  }

  async run(): Promise<void> {
    const { input, output, signal } = this.#options;
    signal.addEventListener("abort", () => this.#ended.resolve(), { once: true });
    // ssh is gone.
    output.on("error", () => this.#ended.resolve());
    input.pause();
    input.on("data", (bytes: Buffer) => this.#take(bytes));
    input.once("end", () => void this.#sayFarewell());
    input.on("error", () => this.#ended.resolve());
    const shaking = setTimeout(() => this.#giveUpHandshake(), HANDSHAKE_MS);
    this.#keepConnected().catch((error: unknown) => {
      // Who has asked for the end may find the session ended, and the answer lost with a connection.
      if (this.#isLeaving) this.#ended.resolve();
      else this.#ended.reject(error);
    });
    await this.#ended.promise.finally(() => clearTimeout(shaking));
  }

  dispose(): void {
    clearInterval(this.#ticks);
    this.#over.abort();
    this.#options.input.destroy();
    this.#socket?.socket.terminate();
  }

  async #keepConnected(): Promise<void> {
    for (let stream = this.#first; !this.#over.signal.aborted; stream = await this.#resumeSession()) {
      const closed = Promise.withResolvers<string>();
      const socket = await this.#connect(stream, closed.resolve);
      if (socket === undefined) continue;
      this.#socket = socket;
      if (this.#options.output.writableNeedDrain) socket.socket.pause();
      const words = { requestId: randomUUID(), clientId: this.#clientId, clientVersion: CLIENT_VERSION };
      socket.send(openDataChannel({ ...words, token: stream.token }));
      if (stream !== this.#first) this.#channel.resume();
      await closed.promise;
      this.#socket = undefined;
    }
  }

  /** The first connection must succeed, which shows a wrong set-up at once; later ones are tried again. */
  async #connect(stream: Stream, closed: (reason: string) => void): Promise<StreamSocket | undefined> {
    const message = (bytes: Uint8Array): void => this.#channel.receive(bytes);
    try {
      return await openSocket(stream, { message, closed }, { env: this.#options.env, signal: this.#over.signal });
    } catch (error) {
      if (stream === this.#first) throw error;
      return undefined;
    }
  }

  async #resumeSession(): Promise<Stream> {
    const { sessions, clock } = this.#options;
    const deadline = clock.now() + RESUME_MS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      await clock.sleep(pauseMs, { signal: this.#over.signal });
      try {
        return await sessions.resume(this.#first.sessionId);
      } catch (error) {
        if (!(error instanceof SkyError) || error instanceof SessionGoneError || clock.now() > deadline) throw error;
      }
    }
  }

  #take(bytes: Buffer): void {
    this.#channel.write(bytes);
    if (!this.#channel.hasRoom) this.#options.input.pause();
  }

  #put(bytes: Uint8Array): void {
    const { output } = this.#options;
    if (output.write(bytes) || this.#socket?.socket.isPaused === true) return;
    this.#socket?.socket.pause();
    output.once("drain", () => this.#socket?.socket.resume());
  }

  #send(frame: Uint8Array): void {
    if (this.#over.signal.aborted) return;
    this.#socket?.send(frame);
    this.#ticks ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    if (this.#channel.isDrained) {
      clearInterval(this.#ticks);
      this.#ticks = undefined;
    } else if (this.#socket !== undefined) this.#channel.tick();
  }

  async #sayFarewell(): Promise<void> {
    await this.#awaitDrained();
    if (this.#over.signal.aborted) return;
    this.#isLeaving = true;
    this.#channel.terminate();
    await this.#awaitDrained();
    this.#ended.resolve();
  }

  async #awaitDrained(): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.now() + FAREWELL_MS;
    while (!this.#channel.isDrained && clock.now() < deadline && !this.#over.signal.aborted) await clock.sleep(TICK_MS);
  }

  #giveUpHandshake(): void {
    if (this.#channel.isOpen) return;
    const { target } = this.#options;
    const seconds = HANDSHAKE_MS / 1000;
    this.#ended.reject(
      new OperationFailedError(`The Session Manager agent of ${target} did not answer within ${seconds} seconds.`, {
        hint: "It may be overloaded or still starting; try again.",
      }),
    );
  }
}
