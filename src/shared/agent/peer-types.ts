import type { Clock } from "../clock.ts";

export interface HandlerContext {
  /** Aborts when the caller cancels or its connection ends. */
  readonly signal: AbortSignal;
}
/** The answering side of a stream. */
export interface ServedStream<Start> extends HandlerContext {
  /** Sends the first answer; must come before data. */
  start(result: Start): void;
  /** Sends data; resolves when the caller may be sent more. Rejects once the caller is gone. */
  send(bytes: Uint8Array): Promise<void>;
  event(value: unknown): Promise<void>;
  /** What the caller sends, until it ends its side. */
  readonly chunks: AsyncIterable<Uint8Array>;
}
/** Parameters and answers of a method or stream in a contract such as AgentMethods. */
export type ParamsOf<T> = T extends { readonly params: infer P } ? P : never;
export type ResultOf<T> = T extends { readonly result: infer R } ? R : never;
export type StartOf<T> = T extends { readonly start: infer B } ? B : never;
export type EndOf<T> = T extends { readonly end: infer E } ? E : never;

export type MethodHandlers<M> = {
  readonly [K in keyof M]?: (params: ParamsOf<M[K]>, context: HandlerContext) => Promise<ResultOf<M[K]>>;
};
export type StreamHandlers<S> = {
  readonly [K in keyof S]?: (params: ParamsOf<S[K]>, stream: ServedStream<StartOf<S[K]>>) => Promise<EndOf<S[K]>>;
};

/** The calling side of a stream. `chunks` and `events` share one queue: consume the one that the method uses, once. */
export interface OpenStream<Start, End> {
  readonly start: Promise<Start>;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly events: AsyncIterable<unknown>;
  /** Resolves when more may be sent. The bytes must not be changed afterwards. */
  send(bytes: Uint8Array): Promise<void>;
  endSend(): void;
  /** The closing answer. A method that sends data ends only when `chunks` is consumed. */
  readonly end: Promise<End>;
  /** Tells the other side to stop; `start`, `end` and `chunks` reject. */
  cancel(): void;
}

export interface AgentPeerOptions {
  /** Exactly one side of a connection is the `dialer`: it numbers its requests oddly. */
  readonly role: "dialer" | "listener";
  /** What this side answers (`MethodHandlers<…>`, `StreamHandlers<…>`). */
  readonly methods?: object;
  readonly streams?: object;
  /** Errors of our own handlers that are bugs (no AgentPeerError). */
  readonly onHandlerError?: (method: string, error: unknown) => void;
  readonly clock?: Clock;
  /** Gap between keepalive frames; the connection is given up after three silent gaps. 0 = none. */
  readonly keepaliveMs?: number;
}
