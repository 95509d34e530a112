import { appendFileSync, readFileSync, truncateSync } from "node:fs";
import { writeFileAtomic } from "../../platform/atomic-file.ts";

/**
 * What has been and is being appended to run.log, written before each append: after a crash the last record says which bytes had
 * to be there and where each rank's output goes on.
 */
export type IndexRecord = Append & (StepAppend | SourceAppend | Snapshot);

interface Append {
  /** Size of run.log before, and the bytes added. */
  readonly at: number;
  readonly n: number;
  /** The source whose line was not ended before, and after. */
  readonly mid: string | null;
  readonly after: string | null;
}
/** A line of the agent itself, once per step. */
interface StepAppend {
  readonly step: string;
  readonly text: string;
}
/** Bytes `from`…`to` of a source's raw output. */
interface SourceAppend {
  readonly source: string;
  readonly prefix: string;
  readonly from: number;
  readonly to: number;
  readonly isEnd: boolean;
}
/** The state at this point, in place of all records before. */
interface Snapshot {
  readonly sources: Readonly<Record<string, SourceState>>;
  readonly steps: readonly string[];
}

export interface SourceState {
  /** Raw bytes that are in run.log. */
  readonly offset: number;
  readonly isEnded: boolean;
}

/** Records are replaced by their sum beyond this size. */
const MAX_INDEX_BYTES = 256 * 1024;

/** The index as a file of JSON lines. */
export class LogIndex {
  readonly #path: string;
  #bytes: number;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
  }

  /** True when it is time to `compact`. */
  append(record: IndexRecord): boolean {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    try {
      appendFileSync(this.#path, line, { mode: 0o600 });
    } catch (error) {
      // On a full disk a part of the line may be there: the next record must not follow it.
      truncateSync(this.#path, this.#bytes);
      throw error;
    }
    this.#bytes += line.length;
    return this.#bytes > MAX_INDEX_BYTES;
  }

  compact(record: IndexRecord): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    writeFileAtomic(this.#path, line, { mode: 0o600 });
    this.#bytes = line.length;
  }

  /** All complete records; a line that a crash cut off is left out, because its append had not begun. */
  static load(path: string): { readonly index: LogIndex; readonly records: readonly IndexRecord[] } {
    let text = "";
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const records = whole.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as IndexRecord]));
    const index = new LogIndex(path, Buffer.byteLength(whole));
    if (whole.length < text.length) writeFileAtomic(path, whole, { mode: 0o600 });
    return { index, records };
  }
}
