import { appendFileSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isDiskFull } from "../node/disk-full.ts";
import { LogIndex, type IndexRecord, type SourceState } from "./log-index.ts";
import { endsLine, renderableLength, renderLines } from "./render-lines.ts";

export interface RunLogOptions {
  /** run.log. */
  readonly path: string;
  readonly indexPath: string;
  /** Reads raw output again to finish an append that a crash cut off; undefined when it cannot be had any more. */
  readonly readRaw: (source: string, from: number, to: number) => Promise<Uint8Array | undefined>;
}

type SourceRecord = Extract<IndexRecord, { source: string }>;
type Rendering = Pick<SourceRecord, "source" | "prefix" | "isEnd" | "mid">;

/** Appended bytes kept in memory, so that followers need not read them back. */
const RECENT_BYTES = 256 * 1024;
const NEWLINE = Buffer.from("\n");

/**
 * The multiplexed log of a job. Each append is announced in an index first, so that after a crash run.log goes on without a lost or
 * repeated byte. Ranks' raw output comes in through `openSource`.
 */
export class RunLog {
  readonly path: string;
  readonly #index: LogIndex;
  readonly #sources = new Map<string, SourceState>();
  readonly #steps = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #size = 0;
  /** The source whose last line is not ended yet. */
  #mid: string | null = null;
  #owed: { readonly at: number; readonly bytes: Buffer } | undefined;
  #recent: { readonly at: number; readonly bytes: Buffer }[] = [];
  #recentBytes = 0;

  private constructor(path: string, index: LogIndex) {
    this.path = path;
    this.#index = index;
  }

  /** Opens the log and finishes the append that a crash cut off. */
  static async open(options: RunLogOptions): Promise<RunLog> {
    mkdirSync(dirname(options.path), { recursive: true });
    mkdirSync(dirname(options.indexPath), { recursive: true, mode: 0o700 });
    const { index, records } = LogIndex.load(options.indexPath);
    const log = new RunLog(options.path, index);
    for (const record of records) log.#replay(record);
    const actual = statSync(options.path, { throwIfNoEntry: false })?.size ?? 0;
    const last = records.at(-1);
    if (last !== undefined && actual < log.#size) await log.#redo(last, actual, options.readRaw);
    return log;
  }

  get size(): number {
    return this.#size;
  }

  /** Raw bytes of a source that are in the log. */
  sourceState(source: string): SourceState {
    return this.#sources.get(source) ?? { offset: 0, isEnded: false };
  }

  /** Appends a line of the agent's own, unless this step has been logged before. `text` ends with `\n`. */
  appendStep(step: string, text: string): void {
    if (this.#steps.has(step)) return;
    const bytes = renderStep(text, this.#mid);
    this.#append({ at: this.#size, n: bytes.length, mid: this.#mid, after: null, step, text }, bytes);
  }

  openSource(source: string, prefix: string): LogSource {
    return new LogSource((raw, isEnd) => this.#appendRaw(source, prefix, raw, isEnd));
  }

  /** Calls back after each append, until the returned function is called. */
  onGrowth(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Bytes from `offset` on, when they are among the latest and at hand. */
  recent(offset: number): Buffer | undefined {
    for (const { at, bytes } of this.#recent) {
      if (offset >= at && offset < at + bytes.length) return bytes.subarray(offset - at);
    }
    return undefined;
  }

  #appendRaw(source: string, prefix: string, raw: Buffer, isEnd: boolean): void {
    const { offset: from, isEnded } = this.sourceState(source);
    if (isEnded) return;
    const mid = this.#mid;
    const bytes = renderRaw({ source, prefix, isEnd, mid }, raw);
    const after = bytes.length === 0 ? mid : endsLine(bytes) ? null : source;
    const range = { source, prefix, from, to: from + raw.length, isEnd };
    this.#append({ at: this.#size, n: bytes.length, mid, after, ...range }, bytes);
  }

  async #redo(record: IndexRecord, actual: number, readRaw: RunLogOptions["readRaw"]): Promise<void> {
    const bytes = await renderAgain(record, readRaw);
    // Raw output that is gone with its node cannot be had: the line that was cut is ended.
    const missing = bytes?.subarray(Math.max(0, actual - record.at)) ?? NEWLINE;
    appendFileSync(this.path, missing);
    this.#size = actual + missing.length;
    if (bytes === undefined) this.#mid = null;
    this.#index.compact(this.#snapshot());
  }

  #append(record: IndexRecord, bytes: Buffer): void {
    this.flush();
    const isFull = this.#index.append(record);
    this.#replay(record);
    if (bytes.length === 0) return;
    this.#owed = { at: record.at, bytes };
    try {
      this.flush();
    } catch (error) {
      // Announced is as good as written: the next append, or `flush`, writes it when there is space.
      if (!isDiskFull(error)) throw error;
    }
    if (isFull) this.#index.compact(this.#snapshot());
  }

  /** Writes what has been announced but is not in the file yet. Throws while the disk is full; nothing is lost by that. */
  flush(): void {
    const owed = this.#owed;
    if (owed === undefined) return;
    const written = Math.max(0, (statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) - owed.at);
    appendFileSync(this.path, owed.bytes.subarray(written));
    this.#owed = undefined;
    this.#announce(owed.at, owed.bytes);
  }

  #announce(at: number, bytes: Buffer): void {
    if (this.#listeners.size === 0) {
      this.#recent = [];
      this.#recentBytes = 0;
      return;
    }
    this.#recent.push({ at, bytes });
    this.#recentBytes += bytes.length;
    while (this.#recentBytes > RECENT_BYTES && this.#recent.length > 1) {
      this.#recentBytes -= this.#recent.shift()?.bytes.length ?? 0;
    }
    for (const listener of this.#listeners) listener();
  }

  #snapshot(): IndexRecord {
    const mid = this.#mid;
    return {
      at: this.#size,
      n: 0,
      mid,
      after: mid,
      sources: Object.fromEntries(this.#sources),
      steps: [...this.#steps],
    };
  }

  #replay(record: IndexRecord): void {
    this.#size = record.at + record.n;
    this.#mid = record.after;
    if ("sources" in record) {
      for (const [source, state] of Object.entries(record.sources)) this.#sources.set(source, state);
      for (const step of record.steps) this.#steps.add(step);
    } else if ("source" in record) {
      this.#sources.set(record.source, { offset: record.to, isEnded: record.isEnd });
    } else {
      this.#steps.add(record.step);
    }
  }
}

/** One rank's raw output on its way into the log: holds back what is not a whole line yet. */
export class LogSource {
  readonly #append: (raw: Buffer, isEnd: boolean) => void;
  #held: Buffer = Buffer.alloc(0);

  constructor(append: (raw: Buffer, isEnd: boolean) => void) {
    this.#append = append;
  }

  /** Takes the next raw bytes, which must follow those in the log and those pushed before. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const length = renderableLength(all, false);
    // When the append throws, the bytes stay held: pushing nothing tries again.
    this.#held = all;
    if (length > 0) this.#append(all.subarray(0, length), false);
    this.#held = all.subarray(length);
  }

  /** The output has ended: passes on what was held back. */
  end(): void {
    this.#append(this.#held, true);
    this.#held = Buffer.alloc(0);
  }
}

function renderStep(text: string, mid: string | null): Buffer {
  return Buffer.from(mid === null ? text : `\n${text}`);
}

/** What a stretch of raw output adds to run.log; ends another source's unfinished line first. */
function renderRaw(record: Rendering, raw: Buffer): Buffer {
  const { source, mid } = record;
  const body = renderLines(raw, { prefix: Buffer.from(record.prefix), isAtLineStart: mid !== source });
  const parts = body.length === 0 ? [] : mid !== null && mid !== source ? [NEWLINE, body] : [body];
  const isOpen = body.length === 0 ? mid === source : !endsLine(body);
  if (record.isEnd && isOpen) parts.push(NEWLINE);
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

async function renderAgain(record: IndexRecord, readRaw: RunLogOptions["readRaw"]): Promise<Buffer | undefined> {
  if ("step" in record) return renderStep(record.text, record.mid);
  if (!("source" in record)) return undefined;
  const raw = await readRaw(record.source, record.from, record.to);
  return raw === undefined ? undefined : renderRaw(record, Buffer.from(raw));
}
