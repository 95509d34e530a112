import { systemClock } from "../clock.ts";
import type { ByteDuplex } from "./byte-duplex.ts";
import { encodeFrame, FrameDecoder } from "./frames.ts";
import { AgentPeerError, fromWireError, toWireError, type WireError } from "./peer-error.ts";
import { closedError, DEFAULT_WINDOW_BYTES, Inbox, Outbox, type StreamPort } from "./peer-stream.ts";
import type { AgentPeerOptions, EndOf, OpenStream, ParamsOf, ResultOf, ServedStream, StartOf } from "./peer-types.ts";
import type { AgentMethods, AgentStreams } from "./protocol.ts";

interface Frame {
  readonly t: string;
  readonly id: number;
  readonly m?: string;
  readonly p?: unknown;
  readonly r?: unknown;
  readonly e?: WireError;
  readonly n?: number;
}
interface OutgoingStream {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly start: PromiseWithResolvers<unknown>;
  readonly end: PromiseWithResolvers<unknown>;
}
interface Incoming {
  readonly controller: AbortController;
  readonly inbox: Inbox | undefined;
  readonly outbox: Outbox | undefined;
}
type Handler = (params: unknown, context: unknown) => Promise<unknown>;

const KEEPALIVE_MS = 15_000;
/** Requests of the other side that run at once; more would let it fill our memory. */
const MAX_INCOMING = 4096;

/**
 * One end of a connection between server, agents and workers: calls and streams in both directions, numbered, with credit per
 * stream, cancellation, typed errors and keepalive. `M` and `S` are what the other side serves.
 */
export class AgentPeer<M = AgentMethods, S = AgentStreams> {
  /** Resolves, with the error if there was one, when the connection is over. */
  readonly closed: Promise<Error | undefined>;
  readonly #duplex: ByteDuplex;
  readonly #options: AgentPeerOptions;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #outgoing = new Map<number, OutgoingStream>();
  readonly #incoming = new Map<number, Incoming>();
  readonly #settleClosed: (error: Error | undefined) => void;
  readonly #stop = new AbortController();
  readonly #port: StreamPort;
  #nextId: number;
  #closeError: AgentPeerError | undefined;
  #drain: PromiseWithResolvers<void> | undefined;
  #heardFrames = 0;

  constructor(duplex: ByteDuplex, options: AgentPeerOptions) {
    this.#duplex = duplex;
    this.#options = options;
    this.#nextId = options.role === "dialer" ? 1 : 2;
    const closed = Promise.withResolvers<Error | undefined>();
    this.closed = closed.promise;
    this.#settleClosed = closed.resolve;
    this.#port = {
      sendData: (id, bytes) => this.#write({ t: "data", id }, bytes),
      sendEvent: (id, value) => this.#writeEvent(id, value),
      sendWindow: (id, n) => void this.#write({ t: "win", id, n }),
      whenWritable: () => this.#drain?.promise,
    };
    const decoder = new FrameDecoder((header, piece, isLast) => this.#receive(header as Frame, piece, isLast));
    duplex.onData((bytes) => {
      try {
        decoder.push(bytes);
      } catch (error) {
        this.#shut(error as Error);
      }
    });
    duplex.onDrain(() => this.#release());
    duplex.onClose((error) => this.#shut(error));
    if ((options.keepaliveMs ?? KEEPALIVE_MS) > 0) void this.#keepAlive();
  }

  get isClosed(): boolean {
    return this.#closeError !== undefined;
  }

  /** Calls a method of the other side. Rejects with AgentPeerError, or with the signal's reason. */
  async call<K extends keyof M & string>(
    method: K,
    params: ParamsOf<M[K]>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ResultOf<M[K]>> {
    options.signal?.throwIfAborted();
    if (this.#closeError !== undefined) throw this.#closeError;
    const id = this.#takeId();
    const result = Promise.withResolvers<unknown>();
    const onAbort = (): void => {
      this.#calls.delete(id);
      this.#write({ t: "cancel", id });
      result.reject(options.signal?.reason as Error);
    };
    options.signal?.addEventListener("abort", onAbort, { once: true });
    this.#calls.set(id, result);
    try {
      this.#write({ t: "call", id, m: method, p: params });
      return (await result.promise) as never;
    } finally {
      this.#calls.delete(id);
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Opens a stream of the other side. Its promises reject with AgentPeerError, or with the signal's reason. */
  open<K extends keyof S & string>(
    method: K,
    params: ParamsOf<S[K]>,
    options: { readonly signal?: AbortSignal } = {},
  ): OpenStream<StartOf<S[K]>, EndOf<S[K]>> {
    const id = this.#takeId();
    const { signal } = options;
    const inbox = new Inbox((bytes) => {
      if (this.#outgoing.has(id)) this.#port.sendWindow(id, bytes);
    });
    const stream: OutgoingStream = {
      inbox,
      outbox: new Outbox(id, this.#port),
      start: Promise.withResolvers(),
      end: Promise.withResolvers(),
    };
    // A caller that looks at one of the two only must not crash over the other.
    stream.start.promise.catch(() => undefined);
    stream.end.promise.catch(() => undefined);
    const cancel = (): void => {
      if (!this.#outgoing.delete(id)) return;
      this.#write({ t: "cancel", id });
      failStream(stream, (signal?.reason as Error | undefined) ?? new AgentPeerError("CLOSED", "Cancelled."));
    };
    this.#outgoing.set(id, stream);
    if (signal !== undefined) {
      signal.addEventListener("abort", cancel, { once: true });
      void stream.end.promise.catch(() => undefined).then(() => signal.removeEventListener("abort", cancel));
    }
    this.#begin(stream, { t: "open", id, m: method, p: params, n: DEFAULT_WINDOW_BYTES }, signal);
    return {
      start: stream.start.promise as never,
      end: stream.end.promise as never,
      chunks: inbox.chunks(),
      events: inbox.events(),
      send: (bytes) => stream.outbox.send(bytes),
      endSend: () => void this.#write({ t: "fin", id }),
      cancel,
    };
  }

  #begin(stream: OutgoingStream, frame: Frame, signal: AbortSignal | undefined): void {
    try {
      signal?.throwIfAborted();
      if (this.#closeError !== undefined) throw this.#closeError;
      this.#write(frame);
    } catch (error) {
      this.#outgoing.delete(frame.id);
      failStream(stream, error as Error);
    }
  }

  /** Ends the connection; what is under way rejects. */
  close(): void {
    this.#shut(undefined);
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    return id;
  }

  #write(header: unknown, payload?: Uint8Array): boolean {
    if (this.#closeError !== undefined) return true;
    let isReady = true;
    for (const part of encodeFrame(header, payload)) isReady = this.#duplex.write(part);
    if (!isReady) this.#drain ??= Promise.withResolvers<void>();
    return isReady;
  }

  #writeEvent(id: number, value: unknown): number {
    const n = (JSON.stringify(value) ?? "").length + 1;
    this.#write({ t: "ev", id, r: value, n });
    return n;
  }

  #release(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }

  #receive(frame: Frame, piece: Uint8Array, isLast: boolean): void {
    this.#heardFrames += 1;
    switch (frame.t) {
      case "data":
        this.#inboxOf(frame.id)?.pushData(piece);
        return;
      case "ev":
        this.#inboxOf(frame.id)?.pushEvent(frame.r, frame.n ?? 1);
        return;
      case "win":
        (this.#outgoing.get(frame.id)?.outbox ?? this.#incoming.get(frame.id)?.outbox)?.grant(frame.n ?? 0);
        return;
      case "fin":
        this.#inboxOf(frame.id)?.end();
        return;
      default:
        if (isLast) this.#receiveControl(frame);
    }
  }

  #receiveControl(frame: Frame): void {
    switch (frame.t) {
      case "call":
      case "open":
        this.#serve(frame);
        return;
      case "cancel":
        this.#cancelIncoming(frame.id);
        return;
      case "ping":
        this.#write({ t: "pong", id: frame.id });
        return;
      case "ok":
        this.#calls.get(frame.id)?.resolve(frame.r);
        return;
      default:
        this.#receiveStreamAnswer(frame);
    }
  }

  #receiveStreamAnswer(frame: Frame): void {
    const stream = this.#outgoing.get(frame.id);
    switch (frame.t) {
      case "start":
        stream?.outbox.grant(frame.n ?? 0);
        stream?.start.resolve(frame.r);
        return;
      case "end":
        this.#outgoing.delete(frame.id);
        stream?.inbox.end();
        stream?.start.reject(new AgentPeerError("INTERNAL", "The stream ended before it began."));
        stream?.outbox.fail(new AgentPeerError("CLOSED", "The stream has ended."));
        stream?.end.resolve(frame.r);
        return;
      case "err": {
        const error = fromWireError(frame.e ?? { code: "INTERNAL", message: "Unknown error." });
        this.#calls.get(frame.id)?.reject(error);
        this.#outgoing.delete(frame.id);
        if (stream !== undefined) failStream(stream, error);
        return;
      }
      default:
      // A kind of frame that a newer peer knows: nothing to do.
    }
  }

  #inboxOf(id: number): Inbox | undefined {
    return this.#outgoing.get(id)?.inbox ?? this.#incoming.get(id)?.inbox;
  }

  #cancelIncoming(id: number): void {
    const incoming = this.#incoming.get(id);
    if (incoming === undefined) return;
    this.#incoming.delete(id);
    const error = new AgentPeerError("CLOSED", "The caller cancelled.");
    incoming.outbox?.fail(error);
    incoming.inbox?.end(error);
    incoming.controller.abort(error);
  }

  #serve(frame: Frame): void {
    const { id, t, m = "", p } = frame;
    const handlers = (t === "call" ? this.#options.methods : this.#options.streams) as
      | Record<string, Handler | undefined>
      | undefined;
    const handler = handlers !== undefined && Object.hasOwn(handlers, m) ? handlers[m] : undefined;
    if (handler === undefined) {
      const e = { code: "UNKNOWN_METHOD", message: `This agent does not know ${JSON.stringify(m)}.` };
      this.#write({ t: "err", id, e });
    } else if (this.#incoming.size >= MAX_INCOMING) {
      this.#write({ t: "err", id, e: { code: "INTERNAL", message: "Too many requests at once." } });
    } else if (t === "call") {
      const incoming: Incoming = { controller: new AbortController(), inbox: undefined, outbox: undefined };
      void this.#answer(frame, incoming, "ok", () => handler(p, { signal: incoming.controller.signal }));
    } else {
      const inbox = new Inbox((bytes) => {
        if (this.#incoming.has(id)) this.#port.sendWindow(id, bytes);
      });
      const outbox = new Outbox(id, this.#port);
      outbox.grant(frame.n ?? 0);
      const incoming: Incoming = { controller: new AbortController(), inbox, outbox };
      const stream: ServedStream<unknown> = {
        signal: incoming.controller.signal,
        chunks: inbox.chunks(),
        start: (r) => void this.#write({ t: "start", id, r, n: DEFAULT_WINDOW_BYTES }),
        send: (bytes) => outbox.send(bytes),
        event: (value) => outbox.sendEvent(value),
      };
      void this.#answer(frame, incoming, "end", () => handler(p, stream));
    }
  }

  async #answer(frame: Frame, incoming: Incoming, kind: string, run: () => Promise<unknown>): Promise<void> {
    const { id, m = "" } = frame;
    this.#incoming.set(id, incoming);
    try {
      const r = await run();
      if (this.#incoming.has(id)) this.#write({ t: kind, id, r });
    } catch (error) {
      if (!(error instanceof AgentPeerError) && !incoming.controller.signal.aborted) {
        this.#options.onHandlerError?.(m, error);
      }
      if (this.#incoming.has(id)) this.#write({ t: "err", id, e: toWireError(error) });
    } finally {
      this.#incoming.delete(id);
    }
  }

  async #keepAlive(): Promise<void> {
    const clock = this.#options.clock ?? systemClock;
    const gapMs = this.#options.keepaliveMs ?? KEEPALIVE_MS;
    let heard = -1;
    let silentGaps = 0;
    while (!this.#stop.signal.aborted) {
      const before = clock.now();
      const isOver = await clock.sleep(gapMs, { signal: this.#stop.signal }).then(
        () => false,
        () => true,
      );
      if (isOver) return;
      // A gap that took much longer means that we, not the peer, were suspended: that says nothing about the peer.
      const wasSuspended = clock.now() - before > 2 * gapMs;
      silentGaps = heard === this.#heardFrames && !wasSuspended ? silentGaps + 1 : 0;
      heard = this.#heardFrames;
      if (silentGaps >= 3) {
        this.#shut(new AgentPeerError("TIMEOUT", `The agent has been silent for ${(3 * gapMs) / 1000} s.`));
        return;
      }
      this.#write({ t: "ping", id: 0 });
    }
  }

  #shut(cause: Error | undefined): void {
    if (this.#closeError !== undefined) return;
    const error = cause instanceof AgentPeerError ? cause : closedError(cause);
    this.#closeError = error;
    this.#stop.abort();
    this.#release();
    for (const call of this.#calls.values()) call.reject(error);
    for (const stream of this.#outgoing.values()) failStream(stream, error);
    this.#outgoing.clear();
    for (const id of this.#incoming.keys()) this.#cancelIncoming(id);
    this.#duplex.destroy();
    this.#settleClosed(cause);
  }
}

function failStream(stream: OutgoingStream, error: Error): void {
  stream.start.reject(error);
  stream.end.reject(error);
  stream.outbox.fail(error);
  stream.inbox.end(error);
}
