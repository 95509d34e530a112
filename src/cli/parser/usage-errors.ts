import { UsageError } from "../../shared/errors.ts";
import { closeMatches } from "./close-matches.ts";
import type { OptionSpec } from "./spec.ts";

/** A usage error that is shown without the usage line above it, as Click shows errors of option syntax. */
export class OptionSyntaxError extends UsageError {}

export function noSuchOption(given: string, options: readonly OptionSpec[]): UsageError {
  const all = options.flatMap((option) => [...option.spellings, ...(option.negative ?? [])]);
  const known = [...all, "--help", "-h"].filter((spelling) => spelling.startsWith("--"));
  const matches = given.startsWith("--") ? [...closeMatches(given, known)].sort() : [];
  const [first] = matches;
  if (first === undefined) return new UsageError(`No such option: ${given}`);
  if (matches.length === 1) return new UsageError(`No such option: ${given} Did you mean ${first}?`);
  return new UsageError(`No such option: ${given} (Possible options: ${matches.join(", ")})`);
}

export function invalidValue(option: OptionSpec, detail: string): UsageError {
  const names = [...option.spellings, ...(option.negative ?? [])].map((spelling) => `'${spelling}'`);
  const shown = option.negative === undefined ? names : names.slice(0, option.spellings.length);
  return new UsageError(`Invalid value for ${shown.join(" / ")}: ${detail}`);
}

export function noSuchCommand(given: string, commands: readonly string[]): UsageError {
  const [best] = closeMatches(given, commands);
  const message = `No such command '${given}'.`;
  return best === undefined ? new UsageError(message) : new UsageError(message, { hint: `did you mean \`${best}\`?` });
}
