import type { Output } from "../context.ts";
import { renderMarkup } from "./markup.ts";
import { widthOf } from "./table.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const INTERVAL_MS = 80;

/** A line that moves while the user waits. Draws only on a terminal. */
export class Spinner {
  readonly #out: Output;
  readonly #colors: boolean;
  #message = "";
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  #drawn = false;

  constructor(out: Output, colors: boolean) {
    this.#out = out;
    this.#colors = colors;
  }

  /** `message` may contain markup. */
  start(message: string): void {
    this.#message = message;
    if (!this.#out.isTTY || this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#draw(), INTERVAL_MS);
    this.#timer.unref();
    this.#draw();
  }

  update(message: string): void {
    this.#message = message;
    if (this.#timer !== undefined) this.#draw();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.clear();
  }

  /** Takes the line away; it comes back with the next frame. */
  clear(): void {
    if (this.#drawn) this.#out.write("\r\u001B[2K");
    this.#drawn = false;
  }

  #draw(): void {
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const text = renderMarkup(this.#message.split("\n")[0] ?? "", this.#colors);
    // A line that wraps could not be taken away again.
    const fits = widthOf(text) + 3 < this.#out.columns;
    const shown = fits ? text : renderMarkup(this.#message, false).slice(0, Math.max(0, this.#out.columns - 4));
    this.#out.write(`\r\u001B[2K${FRAMES[this.#frame]} ${shown}`);
    this.#drawn = true;
  }
}
