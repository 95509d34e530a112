import { Reconnector } from "./reconnect.ts";
import type { Session } from "./session.ts";
import { StreamDecoder, type StreamEvent } from "./stream-decoder.ts";
import type { Answer } from "./transport.ts";

/** Where the stream goes on: byte of the log file, or undefined for the first opening. */
export interface OpenedStream {
  readonly answer: Answer;
  /** Byte of the log file at which this stream starts; undefined when the server can only replay from the start. */
  readonly startsAt: number | undefined;
}

/**
 * The events of a log stream that survives lost connections: the next connection goes on at the byte that is missing, or, with a
 * server that can only replay, skips what was passed on already.
 */
export async function* resumableEvents(
  session: Session,
  open: (resumeAt: number | undefined) => Promise<OpenedStream>,
  signal?: AbortSignal,
): AsyncGenerator<StreamEvent, void, void> {
  const reconnector = new Reconnector(session, signal);
  let resumeAt: number | undefined;
  let passedText = 0;
  while (true) {
    const decoder = new StreamDecoder();
    let opened: OpenedStream | undefined;
    try {
      opened = await open(resumeAt);
      const skip = opened.startsAt === undefined ? passedText : 0;
      for await (const event of decodeBody(opened.answer, decoder, skip)) {
        reconnector.succeeded();
        if (event.kind === "text") passedText += event.bytes.length;
        yield event;
      }
      return;
    } catch (error) {
      if (opened?.startsAt !== undefined) resumeAt = opened.startsAt + decoder.fileBytes;
      await reconnector.waitAfter(error);
    } finally {
      opened?.answer.body.destroy();
    }
  }
}

async function* decodeBody(
  answer: Answer,
  decoder: StreamDecoder,
  skipText: number,
): AsyncGenerator<StreamEvent, void, void> {
  let skip = skipText;
  for await (const chunk of answer.body) {
    for (const event of decoder.push(chunk as Buffer)) {
      if (skip > 0) {
        if (event.kind !== "text") continue;
        const dropped = Math.min(skip, event.bytes.length);
        skip -= dropped;
        if (dropped < event.bytes.length) yield { kind: "text", bytes: event.bytes.subarray(dropped) };
        continue;
      }
      yield event;
    }
  }
  yield* decoder.end();
}
