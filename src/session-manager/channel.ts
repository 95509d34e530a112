import { NotSupportedError, OperationFailedError, type SkyError } from "../shared/errors.ts";
import { BrokenFrameError, decodeMessage, encodeMessage, FLAG, newMessage, PAYLOAD, type Message } from "./message.ts";
import {
  acknowledgedSequence,
  closingWords,
  customerMessage,
  encodeAcknowledgement,
  flagPayload,
  handshakeResponse,
  readFlag,
  readHandshakeRequest,
} from "./payloads.ts";
import { ReceiveOrder } from "./receive-order.ts";
import { SendWindow } from "./send-window.ts";

/**
 * As the service is told who speaks: a version whose port sessions carry plain bytes, like ours. From 1.1.70 agents may multiplex local
 * port forwarding; SSH sessions stay plain.
 */
export const CLIENT_VERSION = "1.2.0.0";
/** Bytes of input in one frame; what AWS's own client sends, so that nothing on the way finds it too long. */
export const CHUNK_BYTES = 1024;
const FRAMES_ON_THEIR_WAY = 1024;
const FRAMES_AHEAD = 10_000;
const REPEATS_AT_ONCE = 64;
/** On a new connection, which may be as bad as the one before: some answers come before it breaks. */
const REPEATS_AT_FIRST = 16;
/** Without any acknowledgement for this long, nobody is there any more. */
const STALLED_MS = 5 * 60_000;

/** What a channel does to its surroundings. */
export interface ChannelEvents {
  /** Sends a frame; it may get lost. */
  send(frame: Uint8Array): void;
  output(bytes: Uint8Array): void;
  /** Something for people to read. */
  notice(text: string): void;
  /** More input may be written. */
  room(): void;
  /** Nothing comes after it. `error`: why, unless the other end has simply finished. */
  ended(error: SkyError | undefined): void;
}

export interface ChannelOptions {
  /** For messages. */
  readonly target: string;
  readonly now: () => number;
  readonly events: ChannelEvents;
}

/** Our end of a data channel: the protocol without sockets and timers. Outlives the connections that carry it. */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #window = new SendWindow(FRAMES_ON_THEIR_WAY);
  readonly #order = new ReceiveOrder<Message>(FRAMES_AHEAD);
  #state: "shaking hands" | "open" | "ended" = "shaking hands";
  #isPaused = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether `write` may be called. */
  get hasRoom(): boolean {
    return this.isOpen && !this.#isPaused && !this.#window.isFull;
  }

  /** Whether everything that was written has arrived. */
  get isDrained(): boolean {
    return this.#window.size === 0;
  }

  /** Sends input, cut into frames. More than `hasRoom` allows is taken too: ask before. */
  write(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      this.#send(PAYLOAD.output, bytes.subarray(start, start + CHUNK_BYTES));
    }
  }

  /** Asks the agent to end the session. */
  terminate(): void {
    if (this.isOpen) this.#send(PAYLOAD.flag, flagPayload(FLAG.terminateSession));
  }

  /** Takes a binary message of the service. */
  receive(bytes: Uint8Array): void {
    if (this.#state === "ended") return;
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (!(error instanceof BrokenFrameError)) throw error;
      // Not acknowledged, so it comes again.
      return;
    }
    this.#take(message);
  }

  /** Sends again what got lost. To be called every few milliseconds while something is on its way. */
  tick(limit = REPEATS_AT_ONCE): void {
    const now = this.#options.now();
    if (this.#window.stalledMs(now) > STALLED_MS) {
      this.#end(new OperationFailedError(`${this.#options.target} has not answered Session Manager for 5 minutes.`));
      return;
    }
    if (this.#isPaused) return;
    for (const frame of this.#window.takeDue(now, limit)) this.#options.events.send(frame);
  }

  /** A new connection carries the channel: what was on its way on the old one is sent again. */
  resume(): void {
    // The service sends a pause again where it still holds.
    this.#isPaused = false;
    this.#window.expireAll(this.#options.now());
    this.tick(REPEATS_AT_FIRST);
    if (this.hasRoom) this.#options.events.room();
  }

  #take(message: Message): void {
    switch (message.type) {
      case "output_stream_data":
        this.#takeData(message);
        return;
      case "acknowledge":
        this.#takeAcknowledgement(message);
        return;
      case "pause_publication":
        this.#isPaused = true;
        return;
      case "start_publication":
        this.#isPaused = false;
        if (this.hasRoom) this.#options.events.room();
        return;
      case "channel_closed":
        this.#close(closingWords(message));
        return;
      // What later versions of the service say besides is not meant for us.
      default:
    }
  }

  #takeData(message: Message): void {
    const { isKept, ready } = this.#order.accept(message.sequence, message);
    if (isKept) this.#options.events.send(encodeAcknowledgement(message, this.#options.now()));
    for (const each of ready) {
      if (this.#state !== "ended") this.#handle(each);
    }
  }

  #takeAcknowledgement(message: Message): void {
    const hadRoom = this.hasRoom;
    const sequence = acknowledgedSequence(message);
    if (sequence !== undefined) this.#window.acknowledge(sequence, this.#options.now());
    if (!hadRoom && this.hasRoom) this.#options.events.room();
  }

  #handle(message: Message): void {
    const { events } = this.#options;
    switch (message.payloadType) {
      case PAYLOAD.handshakeRequest:
        this.#shakeHands(message);
        return;
      case PAYLOAD.handshakeComplete: {
        const words = customerMessage(message);
        if (words !== "") events.notice(words);
        this.#open();
        return;
      }
      case PAYLOAD.output:
        // Agents before 2.3.722 begin without a handshake.
        this.#open();
        events.output(message.payload);
        return;
      case PAYLOAD.error:
      case PAYLOAD.stderr:
        events.notice(Buffer.from(message.payload).toString("utf8"));
        return;
      case PAYLOAD.flag:
        this.#obey(readFlag(message));
        return;
      // Terminal sizes, exit codes: not of a port.
      default:
    }
  }

  #shakeHands(message: Message): void {
    const request = readHandshakeRequest(message);
    const errors = new Map<string, string>();
    for (const { type, parameters } of request.actions) {
      const error = whyNot(type, parameters);
      if (error !== undefined) errors.set(type, error);
    }
    this.#send(PAYLOAD.handshakeResponse, handshakeResponse(request, { clientVersion: CLIENT_VERSION, errors }));
    const [reason] = errors.values();
    if (reason === undefined) return;
    this.#end(
      new NotSupportedError(`The session to ${this.#options.target} asks for what cannot be done: ${reason}.`, {
        hint: "Sessions for SSH need no encryption of their own, because SSH encrypts. Else: aws.ssm_mode: plugin.",
      }),
    );
  }

  #open(): void {
    if (this.#state !== "shaking hands") return;
    this.#state = "open";
    if (this.hasRoom) this.#options.events.room();
  }

  #obey(flag: number): void {
    if (flag === FLAG.connectToPortError) {
      this.#end(
        new OperationFailedError(`The Session Manager agent of ${this.#options.target} cannot connect to port 22.`, {
          hint: "Is its sshd running?",
        }),
      );
    } else if (flag === FLAG.disconnectToPort) this.#end(undefined);
  }

  #close(words: string): void {
    if (this.isOpen && words === "") this.#end(undefined);
    else {
      const why = words === "" ? " without a word." : `: ${words.trim()}`;
      this.#end(new OperationFailedError(`The session to ${this.#options.target} was closed${why}`));
    }
  }

  #send(payloadType: number, payload: Uint8Array): void {
    const createdMs = this.#options.now();
    const sequence = this.#window.nextSequence;
    const frame = encodeMessage(newMessage({ type: "input_stream_data", createdMs, sequence, payloadType, payload }));
    this.#window.add(frame, createdMs);
    this.#options.events.send(frame);
  }

  #end(error: SkyError | undefined): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#options.events.ended(error);
  }
}

/** Why an action that the agent asks for is not done. */
function whyNot(type: string, parameters: Readonly<Record<string, unknown>>): string | undefined {
  if (type === "SessionType") {
    return parameters["SessionType"] === "Port"
      ? undefined
      : `a session of the type ${String(parameters["SessionType"])}`;
  }
  return type === "KMSEncryption" ? "encryption with a KMS key" : `the action ${type}`;
}
