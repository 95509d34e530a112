import { UsageError } from "../../shared/errors.ts";
import { invalidValue } from "./usage-errors.ts";
import type { ArgumentSpec, OptionSpec } from "./spec.ts";

/** What conversion needs of the machine; tests pass their own. */
export interface ValueContext {
  /** "directory", "file", or undefined when nothing is there; `~` is not expanded. */
  readonly kindOf: (path: string) => "directory" | "file" | undefined;
}

const INTEGER = /^\s*[-+]?\d(_?\d)*\s*$/;
const FLOAT = /^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*$/;

/** Converts the text given for an option; throws the usage error that Click shows. */
export function convertOption(option: OptionSpec, given: string, context: ValueContext): unknown {
  switch (option.type) {
    case "integer":
      return toInteger(option, given);
    case "float":
      if (!FLOAT.test(given)) throw invalidValue(option, `'${given}' is not a valid float.`);
      return Number(given);
    case "int-or-none":
      return toLimit(option, given);
    case "choice":
      return toChoice(option, given);
    case "directory":
      return toDirectory(option, given, context);
    case "file":
      if (context.kindOf(given) === undefined) {
        const message = `Dotenv file does not exist: ${given}. Provide a path to an existing file, or remove the flag.`;
        throw new UsageError(message);
      }
      return given;
    case "text":
    case "assignment":
    case "flag":
      return given;
  }
}

function toInteger(option: OptionSpec, given: string): number {
  if (!INTEGER.test(given)) throw invalidValue(option, `'${given}' is not a valid integer.`);
  const value = Number(given.trim().replaceAll("_", ""));
  if (option.min !== undefined && value < option.min) {
    throw invalidValue(option, `${value} is not in the range x>=${option.min}.`);
  }
  return value;
}

function toLimit(option: OptionSpec, given: string): number | null {
  if (/^(none|all)$/i.test(given)) return null;
  if (!INTEGER.test(given)) throw invalidValue(option, `'${given}' is not a valid integer or "none" or "all"`);
  return Number(given);
}

function toChoice(option: OptionSpec, given: string): string {
  const choices = option.choices ?? [];
  if (given === option.bareValue) return given;
  const same = (value: string): boolean =>
    option.caseSensitive === true ? value === given : value.toLowerCase() === given.toLowerCase();
  const found = choices.find(same);
  if (found !== undefined) return found;
  throw invalidValue(option, `'${given}' is not one of ${choices.map((value) => `'${value}'`).join(", ")}.`);
}

function toDirectory(option: OptionSpec, given: string, context: ValueContext): string {
  const kind = context.kindOf(given);
  if (kind === undefined) throw invalidValue(option, `Directory '${given}' does not exist.`);
  if (kind === "file") throw invalidValue(option, `Directory '${given}' is a file.`);
  return given;
}

/** Converts one positional word. */
export function convertArgument(argument: ArgumentSpec, given: string): unknown {
  if (argument.type === "text") return given;
  if (!INTEGER.test(given)) {
    throw new UsageError(`Invalid value for '${argument.metavar}': '${given}' is not a valid integer.`);
  }
  return Number(given);
}
