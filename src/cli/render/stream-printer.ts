import type { StreamEvent } from "../../client/stream-decoder.ts";
import type { Machine } from "../context.ts";
import { makeColors } from "./colors.ts";
import { ColorFilter } from "./color-filter.ts";
import { Spinner } from "./spinner.ts";

const LF = 0x0a;

/** Prints a log stream: text as it is, the server's spinner on a terminal only. */
export class StreamPrinter {
  readonly #machine: Machine;
  readonly #spinner: Spinner;
  readonly #filter: ColorFilter | undefined;
  #hasSpinner = false;
  #atLineStart = true;
  #message = "";
  /** The closing status that our server sends for a job's log. */
  jobStatus: string | undefined;

  /** `raw` passes a program's own output on byte for byte; otherwise the server's colours follow our colour policy. */
  constructor(machine: Machine, { raw = false }: { readonly raw?: boolean } = {}) {
    this.#machine = machine;
    const { enabled } = makeColors(machine.env, machine.out.isTTY);
    this.#spinner = new Spinner(machine.out, enabled);
    this.#filter = raw || enabled ? undefined : new ColorFilter();
  }

  /** Prints one event; resolves when the terminal or pipe has room for more. */
  async print(event: StreamEvent): Promise<void> {
    switch (event.kind) {
      case "text":
        this.#spinner.clear();
        this.#atLineStart = event.bytes.at(-1) === LF;
        await this.#write(this.#filter?.push(event.bytes) ?? event.bytes);
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

  async #write(bytes: Buffer): Promise<void> {
    if (!this.#machine.out.write(bytes)) await this.#machine.out.drained();
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
