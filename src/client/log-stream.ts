import { StringDecoder } from "node:string_decoder";
import type { StreamEvent } from "./stream-decoder.ts";

/** 0 succeeded, 100 failed, 101 not finished, 102 not found, 103 cancelled. */
export type JobExitCode = number;

/**
 * The log of a job. Iterating gives its text in pieces as they come; `events()` also gives spinner changes. Either is read once.
 * `exitCode` is known when the log has been read to its end.
 */
export class LogStream implements AsyncIterable<string> {
  readonly exitCode: Promise<JobExitCode>;
  readonly #events: () => AsyncGenerator<StreamEvent, void, void>;
  readonly #fetchExitCode: () => Promise<JobExitCode>;
  #resolve: (code: Promise<JobExitCode>) => void = () => undefined;

  constructor(events: () => AsyncGenerator<StreamEvent, void, void>, fetchExitCode: () => Promise<JobExitCode>) {
    this.#events = events;
    this.#fetchExitCode = fetchExitCode;
    this.exitCode = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.exitCode.catch(() => undefined);
  }

  async *events(): AsyncGenerator<StreamEvent, void, void> {
    try {
      yield* this.#events();
    } catch (error) {
      this.#resolve(Promise.reject(error));
      throw error;
    }
    this.#resolve(this.#fetchExitCode());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, void> {
    const decoder = new StringDecoder("utf8");
    for await (const event of this.events()) {
      if (event.kind !== "text") continue;
      const text = decoder.write(event.bytes);
      if (text !== "") yield text;
    }
    const rest = decoder.end();
    if (rest !== "") yield rest;
  }

  /** Writes the log to a stream, byte for byte, and gives the exit code. Waits while the stream is full. */
  async pipeTo(out: NodeJS.WritableStream): Promise<JobExitCode> {
    for await (const event of this.events()) {
      if (event.kind !== "text" || out.write(event.bytes)) continue;
      await new Promise<void>((resolve) => out.once("drain", () => resolve()));
    }
    return await this.exitCode;
  }
}
