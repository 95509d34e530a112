import type { Stream } from "./carry.ts";

/** What a proxy asks the API server of its machine for; one JSON object per line. */
export interface DoorRequest {
  readonly id: number;
  readonly call: "start" | "resume" | "end";
  readonly instance: string;
  readonly region: string;
  /** Of `resume` and `end`. */
  readonly sessionId?: string;
}

export interface DoorAnswer {
  readonly id: number;
  readonly stream?: Stream;
  readonly error?: DoorError;
}

export interface DoorError {
  readonly message: string;
  readonly hint?: string;
  /** The session is over: there is nothing to resume. */
  readonly isGone?: boolean;
}

/** Calls `take` for each line of a stream of text that comes in pieces. */
export function lineReader(take: (line: string) => void): (piece: string) => void {
  let rest = "";
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  };
}
