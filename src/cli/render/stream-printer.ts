import type { StreamEvent } from "../../client/stream-decoder.ts";
import type { Machine } from "../context.ts";
import { makeColors } from "./colors.ts";
import { Spinner } from "./spinner.ts";

const LF = 0x0a;

/** Prints a log stream: text as it is, the server's spinner on a terminal only. */
export class StreamPrinter {
  readonly #machine: Machine;
  readonly #spinner: Spinner;
  #hasSpinner = false;
  #atLineStart = true;
  #message = "";
  /** The closing status that our server sends for a job's log. */
  jobStatus: string | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#spinner = new Spinner(machine.out, makeColors(machine.env, machine.out.isTTY).enabled);
  }

  /** Prints one event; resolves when the terminal or pipe has room for more. */
  async print(event: StreamEvent): Promise<void> {
    switch (event.kind) {
      case "text":
        this.#spinner.clear();
        this.#atLineStart = event.bytes.at(-1) === LF;
        if (!this.#machine.out.write(event.bytes)) await this.#machine.out.drained();
        return;
      case "spinner":
        this.#spin(event);
        return;
      case "job-finished":
        this.jobStatus = event.status;
        return;
      case "open-url":
      case "retry":
        return;
    }
  }

  #spin(event: Extract<StreamEvent, { kind: "spinner" }>): void {
    switch (event.action) {
      case "init":
        this.#hasSpinner = true;
        this.#message = event.message;
        return;
      case "start":
        if (this.#hasSpinner && this.#atLineStart) this.#spinner.start(this.#message);
        return;
      case "update":
        this.#message = event.message;
        if (this.#hasSpinner) this.#spinner.update(event.message);
        return;
      case "stop":
        this.#spinner.stop();
        return;
      case "exit":
        this.#hasSpinner = false;
        this.#spinner.stop();
    }
  }

  /** Takes the spinner away; what follows starts on a line of its own. */
  end(): void {
    this.#spinner.stop();
    if (!this.#atLineStart) this.#machine.out.write("\n");
    this.#atLineStart = true;
  }
}
