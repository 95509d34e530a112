/** What a log stream consists of. Text is passed on as the bytes that came. */
export type StreamEvent =
  | { readonly kind: "text"; readonly bytes: Buffer }
  | { readonly kind: "spinner"; readonly action: SpinnerAction; readonly message: string }
  /** The closing status of a job's log, sent by our own server only. */
  | { readonly kind: "job-finished"; readonly status: string }
  /** A page that the server wants the user's browser to show. */
  | { readonly kind: "open-url"; readonly url: string }
  /** The server gives the request up and asks the client to send it again. */
  | { readonly kind: "retry" };

export type SpinnerAction = "init" | "start" | "update" | "stop" | "exit";

const TAG = Buffer.from("<sky-payload");
const LF = 0x0a;
const CR = 0x0d;
const EMPTY = Buffer.alloc(0);
const CONTROL_LINE = /^<sky-payload[^>]*>([^\n\r]*)<\/sky-payload>\s*$/;
const SPINNER = /^<rich_(init|start|update|stop|exit)>([\s\S]*?)(?:<\/rich_\1>)?$/;
/** A line that begins like a control line but grows beyond this is text. */
const MAX_CONTROL_LINE = 1024 * 1024;

/**
 * Splits a log stream into text and control lines. Text goes through at once, byte for byte, and only what may still become a
 * control line is held back.
 */
export class StreamDecoder {
  /** Bytes of the server's log file that were decoded: everything but heartbeat lines and what is held back. */
  fileBytes = 0;
  /** Bytes of text that were passed on. */
  textBytes = 0;
  #held: Buffer = EMPTY;
  #atLineStart = true;

  push(chunk: Buffer): StreamEvent[] {
    const data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = EMPTY;
    const events: StreamEvent[] = [];
    let position = 0;
    while (position < data.length) {
      position = this.#atLineStart ? this.#line(data, position, events) : this.#text(data, position, events);
      if (position < 0) break;
    }
    return events;
  }

  /** Ends the stream: what was held back is text after all. */
  end(): StreamEvent[] {
    const events: StreamEvent[] = [];
    if (this.#held.length > 0) this.#emit(this.#held, events);
    this.#held = EMPTY;
    return events;
  }

  /** At a line start: a control line, or text. Negative: wait for more bytes. */
  #line(data: Buffer, position: number, events: StreamEvent[]): number {
    const available = Math.min(TAG.length, data.length - position);
    if (data.compare(TAG, 0, available, position, position + available) !== 0) {
      this.#atLineStart = false;
      return this.#text(data, position, events);
    }
    const end = lineEnd(data, position);
    if (end === -1) {
      if (data.length - position > MAX_CONTROL_LINE) {
        this.#atLineStart = false;
        return this.#text(data, position, events);
      }
      this.#held = data.subarray(position);
      return -1;
    }
    this.#control(data.subarray(position, end), events);
    return end;
  }

  /** Passes text on up to the next line that may be a control line. */
  #text(data: Buffer, position: number, events: StreamEvent[]): number {
    let from = position;
    while (true) {
      const next = data.indexOf(TAG, from);
      const found = next === -1 ? tailThatMayBeTag(data, position) : next;
      if (found === -1) {
        this.#emit(data.subarray(position), events);
        this.#atLineStart = isLineEnd(data[data.length - 1]);
        return data.length;
      }
      if (found === position || isLineEnd(data[found - 1])) {
        if (found === position && !this.#atLineStart && next !== -1) {
          from = found + 1;
          continue;
        }
        if (found > position) this.#emit(data.subarray(position, found), events);
        this.#atLineStart = true;
        return found;
      }
      from = found + 1;
    }
  }

  #emit(bytes: Buffer, events: StreamEvent[]): void {
    this.fileBytes += bytes.length;
    this.textBytes += bytes.length;
    events.push({ kind: "text", bytes });
  }

  #control(line: Buffer, events: StreamEvent[]): void {
    const text = line.toString("utf8");
    const match = CONTROL_LINE.exec(text);
    if (match === null) {
      this.#emit(line, events);
      return;
    }
    const payload = payloadText(match[1] ?? "");
    if (payload?.startsWith("<heartbeat>") === true) return;
    this.fileBytes += line.length;
    const event = payload === undefined ? undefined : toControlEvent(payload);
    if (event !== undefined) events.push(event);
  }
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === LF || byte === CR;
}

/** Index after the line's terminator (`\n`, `\r` or `\r\n`); -1 when the line is not complete. */
function lineEnd(data: Buffer, position: number): number {
  const lf = data.indexOf(LF, position);
  const cr = data.indexOf(CR, position);
  if (cr !== -1 && (lf === -1 || cr < lf)) return cr + 1 === lf ? lf + 1 : cr + 1;
  return lf === -1 ? -1 : lf + 1;
}

/** Where the last line begins, when that line may still become a control line. */
function tailThatMayBeTag(data: Buffer, position: number): number {
  const start = Math.max(data.lastIndexOf(LF), data.lastIndexOf(CR)) + 1;
  if (start <= position || start >= data.length || data.length - start >= TAG.length) return -1;
  return data.compare(TAG, 0, data.length - start, start, data.length) === 0 ? start : -1;
}

function payloadText(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function toControlEvent(payload: string): StreamEvent | undefined {
  const spinner = SPINNER.exec(payload);
  if (spinner !== null) {
    return { kind: "spinner", action: spinner[1] as SpinnerAction, message: spinner[2] ?? "" };
  }
  if (payload.startsWith("<retry>")) return { kind: "retry" };
  const page = /^<open_url>(https?:.*)<\/open_url>$/.exec(payload)?.[1];
  if (page !== undefined) return { kind: "open-url", url: page };
  const finished = /^<job_finished>(.*)<\/job_finished>$/.exec(payload);
  return finished === null ? undefined : { kind: "job-finished", status: finished[1] ?? "" };
}
