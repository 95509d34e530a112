import type { SkyClient } from "../client/sky-client.ts";
import type { Env } from "../platform/env.ts";
import type { Clock } from "../shared/clock.ts";

/** Where a command writes. */
export interface Output {
  write(text: string | Uint8Array): boolean;
  readonly isTTY: boolean;
  readonly columns: number;
  /** Resolves when what was written has been taken; needed when `write` gave false. */
  drained(): Promise<void>;
}

/** Where answers to questions come from. */
export interface LineInput {
  /** One line without its end; undefined at the end of input. */
  readLine(options: { readonly signal: AbortSignal }): Promise<string | undefined>;
}

/** What the process gives to a command line. */
export interface Machine {
  readonly env: Env;
  readonly cwd: string;
  readonly home: string;
  readonly out: Output;
  readonly err: Output;
  readonly input: LineInput;
  readonly clock: Clock;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** A folder of this package. */
  readonly packageDir: string;
}

/** What a command may touch. */
export interface Context extends Machine {
  /** Words of the command, e.g. `api status`. */
  readonly command: string;
  /** The command line as typed after `sky`, secrets left out. */
  readonly commandLine: string;
  /** Asks a question and gives the answer; false at the end of input. */
  readonly confirm: (question: string, options?: { readonly fallback?: boolean }) => Promise<boolean>;
  readonly ask: (question: string) => Promise<string>;
  /** Opens the client; `overrides` are the `--config` values. */
  readonly openClient: (overrides?: ConfigOverrides) => Promise<SkyClient>;
  /** Hands over what has to be closed at the end. */
  readonly onExit: (close: () => Promise<void>) => void;
}

export interface ConfigOverrides {
  readonly config?: readonly string[] | undefined;
  readonly workspace?: string | undefined;
}

/** The user said no, or input ended at a question. */
export class AbortedError extends Error {}

/** Ctrl-C. */
export class InterruptedError extends Error {}
