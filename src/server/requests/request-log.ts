import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { RequestLog } from "../../core/operation.ts";
import { parseControl, renderControl } from "../../shared/wire/control-lines.ts";

/** Bytes that are kept in memory while the disk takes none; beyond that, lines are dropped. */
const MAX_BACKLOG = 1024 * 1024;

/** One thing that the log of an earlier attempt holds. */
type Entry = { readonly kind: "line" | "spin" | "end"; readonly text: string };

/**
 * The log file of one request. It is made at the first write and only ever grows. When the operation runs again after a crash,
 * whatever it says again in the same order is found in the file and not written twice.
 */
export class RequestLogFile implements RequestLog {
  readonly #path: string;
  readonly #onGrow: () => void;
  readonly #writeBytes: (fd: number, bytes: Uint8Array) => number;
  #fd: number | undefined;
  #backlog: Buffer = Buffer.alloc(0);
  #spinner: string | undefined;
  #replay: readonly Entry[] = [];
  #lineCursor = 0;
  #spinCursor = 0;
  /** Text of a last line that a crash cut off before its newline. */
  #partial = "";

  constructor(
    path: string,
    options: {
      readonly isResumed: boolean;
      readonly onGrow: () => void;
      /** Writes what it can and returns how many bytes that was, as `writeSync` does. */
      readonly writeBytes?: (fd: number, bytes: Uint8Array) => number;
    },
  ) {
    this.#path = path;
    this.#writeBytes = options.writeBytes ?? writeSync;
    this.#onGrow = options.onGrow;
    if (options.isResumed) this.#load();
  }

  line(text: string): void {
    for (const line of text.split("\n")) {
      if (!this.#isReplayed("line", line)) this.#writeLine(line);
    }
  }

  spin(message: string): void {
    if (this.#spinner === message) return;
    if (this.#isReplayed("spin", message)) return;
    const isShown = this.#spinner !== undefined;
    this.#spinner = message;
    this.#writeControl(
      isShown
        ? renderControl({ kind: "update", message })
        : renderControl({ kind: "init", message }) + renderControl({ kind: "start", message }),
    );
  }

  spinEnd(): void {
    if (this.#isReplayed("end", "")) return;
    this.#closeSpinner();
  }

  /** Writes a last line, whatever was replayed, and closes the file. */
  close(lastLine?: string): void {
    this.#closeSpinner();
    if (lastLine !== undefined) this.#writeLine(lastLine);
    if (this.#partial !== "") this.#write("\n");
    this.#partial = "";
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #closeSpinner(): void {
    if (this.#spinner === undefined) return;
    this.#spinner = undefined;
    this.#writeControl(renderControl({ kind: "exit" }));
  }

  /** A control line stands alone, also after a line that a crash cut off. */
  #writeControl(text: string): void {
    this.#write(this.#partial === "" ? text : `\n${text}`);
    this.#partial = "";
  }

  #writeLine(line: string): void {
    const partial = this.#partial;
    this.#partial = "";
    if (partial === "") this.#write(`${line}\n`);
    else if (line.startsWith(partial)) this.#write(`${line.slice(partial.length)}\n`);
    else this.#write(`\n${line}\n`);
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    this.#backlog = this.#backlog.length === 0 ? bytes : Buffer.concat([this.#backlog, bytes]);
    const before = this.#backlog.length;
    try {
      this.#fd ??= this.#open();
      // What is in the file leaves the backlog at once: a disk may fill up in the middle.
      while (this.#backlog.length > 0) {
        this.#backlog = this.#backlog.subarray(this.#writeBytes(this.#fd, this.#backlog));
      }
    } catch (error) {
      // A full disk must not fail the operation, whose own state is elsewhere; the lines follow when there is room again.
      if (!isNoSpace(error)) throw error;
    }
    if (this.#backlog.length < before) this.#onGrow();
    if (this.#backlog.length > MAX_BACKLOG) this.#backlog = this.#backlog.subarray(0, MAX_BACKLOG);
  }

  #open(): number {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    return openSync(this.#path, "a", 0o600);
  }

  /** Looks for the entry from the cursor on; what lies between was said by steps that are not repeated. */
  #isReplayed(kind: Entry["kind"], text: string): boolean {
    const from = kind === "line" ? this.#lineCursor : this.#spinCursor;
    for (let index = from; index < this.#replay.length; index++) {
      const entry = this.#replay[index];
      if (entry?.kind !== kind || entry.text !== text) continue;
      if (kind === "line") this.#lineCursor = index + 1;
      else this.#spinCursor = index + 1;
      return true;
    }
    return false;
  }

  #load(): void {
    const content = readLog(this.#path);
    const lines = content.split("\n");
    const last = lines.pop() ?? "";
    const entries: Entry[] = [];
    for (const line of lines) {
      const control = parseControl(line);
      if (control === undefined) entries.push({ kind: "line", text: line });
      else if (control.kind === "init" || control.kind === "update") {
        entries.push({ kind: "spin", text: control.message });
        this.#spinner = control.message;
      } else if (control.kind === "stop" || control.kind === "exit") {
        entries.push({ kind: "end", text: "" });
        this.#spinner = undefined;
      }
    }
    this.#replay = entries;
    this.#partial = last;
  }
}

function readLog(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

function isNoSpace(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
