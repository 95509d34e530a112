import type { Context } from "./context.ts";
import type { AnyCommandSpec, CommandSpec, Input } from "./parser/spec.ts";

/** Handles a command; gives its exit code (0 when nothing is given). */
type Handler = (input: { args: unknown; options: unknown }, ctx: Context) => Promise<number | void>;

export interface CommandEntry {
  /** Words after `sky`. */
  readonly path: string;
  readonly summary: string;
  readonly hidden?: boolean;
  /** The command to use instead. */
  readonly replacedBy?: string;
  /** Absent for a group. */
  readonly spec?: () => Promise<AnyCommandSpec>;
  /** Absent while the command is not available. */
  readonly run?: () => Promise<Handler>;
}

type Traits = Pick<CommandEntry, "hidden" | "replacedBy">;

export function group(path: string, summary: string, traits: Traits = {}): CommandEntry {
  return { path, summary, ...traits };
}

export function command<A, O>(
  path: string,
  summary: string,
  spec: () => Promise<CommandSpec<A, O>>,
  run: () => Promise<(input: Input<CommandSpec<A, O>>, ctx: Context) => Promise<number | void>>,
  traits: Traits = {},
): CommandEntry {
  // The parser makes the input from the very spec that the handler's type is derived from.
  return { path, summary, spec: spec as () => Promise<AnyCommandSpec>, run: run as () => Promise<Handler>, ...traits };
}

export function planned<A, O>(
  path: string,
  summary: string,
  spec: () => Promise<CommandSpec<A, O>>,
  traits: Traits = {},
): CommandEntry {
  return { path, summary, spec: spec as () => Promise<AnyCommandSpec>, ...traits };
}

export const HIDDEN = { hidden: true } as const;
