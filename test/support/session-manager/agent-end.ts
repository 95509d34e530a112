import type { Duplex } from "node:stream";
import {
  decodeMessage,
  encodeMessage,
  FLAG,
  newMessage,
  PAYLOAD,
  type Message,
} from "../../../src/session-manager/message.ts";

const CHUNK_BYTES = 1024;
const ON_THEIR_WAY = 1000;
const REPEAT_MS = 200;
const LOOK_MS = 50;
const REPEATS_AT_ONCE = 20;

export interface AgentOptions {
  /** What the agent asks of the client before anything else. */
  readonly actions: readonly object[];
  readonly dial: () => Promise<Duplex>;
  readonly send: (frame: Buffer) => void;
  readonly closed: (words: string) => void;
}

/**
 * The agent's end of a session with a port: shakes hands, connects to the port and passes bytes, each frame until it is acknowledged. Keeps
 * its own books, apart from the client's code.
 */
export class AgentEnd {
  readonly clientVersion = Promise.withResolvers<string>();
  readonly #options: AgentOptions;
  readonly #sent = new Map<number, { readonly frame: Buffer; atMs: number }>();
  readonly #early = new Map<number, Message>();
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #expected = 0;
  #port: Duplex | undefined;
  /** Input that came before the port was connected. */
  readonly #waiting: Buffer[] = [];
  #isOver = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#repeat(), LOOK_MS);
    const request = { AgentVersion: "3.3.2299.0", RequestedClientActions: options.actions };
    this.#send(PAYLOAD.handshakeRequest, Buffer.from(JSON.stringify(request)));
  }

  receive(bytes: Buffer): void {
    const message = decodeMessage(bytes);
    if (message.type === "acknowledge") {
      this.#acknowledged(Number(jsonOf(message)["AcknowledgedMessageSequenceNumber"]));
    } else if (message.type === "input_stream_data") this.#takeData(message);
  }

  /** Ends the session; nothing is sent after it. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#port?.destroy();
  }

  #takeData(message: Message): void {
    const { id, sequence, type } = message;
    const content = {
      AcknowledgedMessageType: type,
      AcknowledgedMessageId: id,
      AcknowledgedMessageSequenceNumber: sequence,
      IsSequentialMessage: true,
    };
    const payload = Buffer.from(JSON.stringify(content));
    this.#options.send(encodeMessage(newMessage({ type: "acknowledge", createdMs: Date.now(), flags: 3, payload })));
    if (sequence < this.#expected) return;
    this.#early.set(sequence, message);
    for (let next = this.#early.get(this.#expected); next !== undefined; next = this.#early.get(this.#expected)) {
      this.#early.delete(this.#expected);
      this.#expected += 1;
      this.#handle(next);
    }
  }

  #handle({ payloadType, payload, ...message }: Message): void {
    if (payloadType === PAYLOAD.handshakeResponse) this.#finishHandshake({ ...message, payloadType, payload });
    else if (payloadType === PAYLOAD.output) this.#write(Buffer.from(payload));
    else if (payloadType === PAYLOAD.flag && Buffer.from(payload).readUInt32BE(0) === FLAG.terminateSession) {
      this.#options.closed("");
    }
  }

  #write(bytes: Buffer): void {
    if (this.#port === undefined) this.#waiting.push(bytes);
    else this.#port.write(bytes);
  }

  #finishHandshake(message: Message): void {
    const { ClientVersion, ProcessedClientActions } = jsonOf(message);
    this.clientVersion.resolve(String(ClientVersion));
    const refused = (ProcessedClientActions as { ActionStatus: number; Error: string }[]).find(
      (each) => each.ActionStatus !== 1,
    );
    if (refused !== undefined) return this.#options.closed(`Handshake failed: ${refused.Error}`);
    const complete = { HandshakeTimeToComplete: 1_000_000, CustomerMessage: "" };
    this.#send(PAYLOAD.handshakeComplete, Buffer.from(JSON.stringify(complete)));
    this.#options.dial().then(
      (port) => this.#pass(port),
      () => {
        const flag = Buffer.alloc(4);
        flag.writeUInt32BE(FLAG.connectToPortError);
        this.#send(PAYLOAD.flag, flag);
      },
    );
  }

  #pass(port: Duplex): void {
    if (this.#isOver) return void port.destroy();
    this.#port = port;
    for (const bytes of this.#waiting.splice(0)) port.write(bytes);
    port.on("data", (bytes: Buffer) => {
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
        this.#send(PAYLOAD.output, bytes.subarray(start, start + CHUNK_BYTES));
      }
      if (this.#sent.size >= ON_THEIR_WAY) port.pause();
    });
    port.on("error", () => port.destroy());
    port.once("close", () => void this.#closeWhenDelivered());
    // Whoever connected it may have paused it, and then a listener alone does not start it.
    port.resume();
  }

  async #closeWhenDelivered(): Promise<void> {
    for (let waits = 0; this.#sent.size > 0 && waits < 200 && !this.#isOver; waits += 1) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    this.#options.closed("");
  }

  #acknowledged(sequence: number): void {
    this.#sent.delete(sequence);
    if (this.#port?.isPaused() === true && this.#sent.size < ON_THEIR_WAY) this.#port.resume();
  }

  #send(payloadType: number, payload: Uint8Array): void {
    if (this.#isOver) return;
    const sequence = this.#sequence++;
    const createdMs = Date.now();
    const message = newMessage({ type: "output_stream_data", createdMs, sequence, payloadType, payload });
    const frame = encodeMessage({ ...message, flags: sequence === 0 ? 1 : 0 });
    this.#sent.set(sequence, { frame, atMs: createdMs });
    this.#options.send(frame);
  }

  #repeat(): void {
    const now = Date.now();
    let repeats = 0;
    for (const sent of this.#sent.values()) {
      if (now - sent.atMs < REPEAT_MS || repeats >= REPEATS_AT_ONCE) break;
      sent.atMs = now;
      repeats += 1;
      this.#options.send(sent.frame);
    }
  }
}

function jsonOf(message: Message): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(message.payload).toString("utf8")) as Readonly<Record<string, unknown>>;
}
