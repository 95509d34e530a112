import { Command, Option } from "commander";
import { UsageError } from "../../shared/errors.ts";
import { OptionSyntaxError, noSuchOption } from "./usage-errors.ts";
import { convertArgument, convertOption, type ValueContext } from "./values.ts";
import type { AnyCommandSpec, OptionSpec } from "./spec.ts";

export interface Parsed {
  readonly args: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** `-h` or `--help` was among the options; nothing was converted then. */
  readonly help: boolean;
}

interface Occurrence {
  readonly name: string;
  readonly option: OptionSpec;
  /** undefined for a flag. */
  readonly value: string | undefined;
  readonly negated: boolean;
}

/**
 * Parses a command's words by Click's rules: options and operands in any order, `--` ends the options, grouped short flags, the last
 * of a repeated option wins. Throws UsageError.
 */
export function parseCommand(spec: AnyCommandSpec, argv: readonly string[], context: ValueContext): Parsed {
  const seen: Occurrence[] = [];
  let help = false;
  const command = buildCommand(spec, (occurrence) => {
    if (occurrence === "help") help = true;
    else seen.push(occurrence);
  });
  const words = argv.map((word) => word);
  const operands = collectOperands(spec, command, normalise(spec, words), seen);
  if (help) return { args: {}, options: {}, help };
  const options = collectOptions(spec, seen, context);
  return { args: collectArguments(spec, operands), options, help };
}

/**
 * Commander knows short options of one letter only and sees a value in `--flag=x`; both are brought into a form that it reads. Words
 * after `--` stay as they are.
 */
function normalise(spec: AnyCommandSpec, words: readonly string[]): string[] {
  const end = words.indexOf("--");
  const cut = end === -1 ? words.length : end;
  const odd = new Map<string, string>();
  for (const option of Object.values(spec.options)) {
    for (const spelling of option.negative ?? []) {
      if (/^-[^-]./.test(spelling)) odd.set(spelling, hiddenSpelling(spelling));
    }
  }
  return words.map((word, index) => (index < cut ? (odd.get(word) ?? word) : word));
}

function hiddenSpelling(spelling: string): string {
  return `--\u0000${spelling.slice(1)}`;
}

function buildCommand(spec: AnyCommandSpec, report: (occurrence: Occurrence | "help") => void): Command {
  const command = new Command();
  command.exitOverride().helpOption(false).helpCommand(false).passThroughOptions(true).allowUnknownOption(true);
  command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  let serial = 0;
  const add = (spelling: string, value: string, listen: (given: string | undefined) => void): void => {
    // One commander option per spelling: an own name keeps short and long apart and `--no-x` free of special meaning.
    const isShort = /^-[^-]$/.test(spelling);
    const long = isShort ? `--\u0000s${serial}` : spelling;
    serial += 1;
    const option = new Option(isShort ? `${spelling}, ${long}${value}` : `${long}${value}`);
    option.negate = false;
    command.addOption(option);
    command.on(`option:${option.name()}`, listen);
  };
  for (const [name, option] of Object.entries(spec.options)) {
    const placeholder = option.type === "flag" ? "" : option.bareValue === undefined ? " <value>" : " [value]";
    for (const spelling of option.spellings) {
      add(spelling, placeholder, (value) =>
        report({
          name,
          option,
          value: option.type === "flag" ? undefined : (value ?? option.bareValue),
          negated: false,
        }),
      );
    }
    for (const spelling of option.negative ?? []) {
      const known = /^-[^-]./.test(spelling) ? hiddenSpelling(spelling) : spelling;
      add(known, "", () => report({ name, option, value: undefined, negated: true }));
    }
  }
  for (const spelling of ["-h", "--help"]) add(spelling, "", () => report("help"));
  return command;
}

function collectOperands(
  spec: AnyCommandSpec,
  command: Command,
  words: readonly string[],
  seen: readonly Occurrence[],
): readonly string[] {
  const operands: string[] = [];
  let rest = [...words];
  while (true) {
    const result = parseOnce(spec, command, rest);
    const [unknown] = result.unknown;
    if (unknown !== undefined) throw unknownOption(spec, unknown);
    const [word, ...after] = result.operands;
    if (word === undefined) return operands;
    const isLiteral = rest[rest.length - result.operands.length - 1] === "--";
    if (isLiteral) return [...operands, ...result.operands];
    if (/^-\d/.test(word)) throw unknownOption(spec, word);
    operands.push(word);
    if (startsOwnCommand(spec, operands, seen)) {
      // A `--` directly after the first word is ours, as it always was; any other belongs to the user's command.
      return [...operands, ...after];
    }
    rest = after;
  }
}

function parseOnce(
  spec: AnyCommandSpec,
  command: Command,
  words: readonly string[],
): { operands: string[]; unknown: string[] } {
  try {
    return command.parseOptions([...words]);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    const last = words.at(-1) ?? "";
    const given = /^-[^-]{2,}$/.test(last) ? `-${last.at(-1)}` : last;
    throw new OptionSyntaxError(`Option '${given}' requires an argument.`);
  }
}

function unknownOption(spec: AnyCommandSpec, word: string): UsageError {
  const options = Object.values(spec.options);
  const [name = word] = word.split("=", 1);
  if (word.startsWith("--")) {
    const isFlag = options.some((option) => [...option.spellings, ...(option.negative ?? [])].includes(name));
    if (isFlag && name !== word) return new OptionSyntaxError(`Option '${name}' does not take a value.`);
    return noSuchOption(name, options);
  }
  return noSuchOption(word.slice(0, 2), options);
}

/**
 * Says whether the last operand begins the user's own command line, whose options are not ours: `sky exec c python x.py --lr 1`. A
 * task file is followed by our options, and so is a whole command quoted as one word.
 */
function startsOwnCommand(spec: AnyCommandSpec, operands: readonly string[], seen: readonly Occurrence[]): boolean {
  if (spec.passThrough === undefined) return false;
  const given = Object.fromEntries(seen.map((occurrence) => [occurrence.name, occurrence.value ?? true]));
  if (operands.length !== spec.passThrough(given) + 1) return false;
  const word = operands.at(-1) ?? "";
  return !/\s/.test(word) && !/\.ya?ml$/i.test(word) && !word.startsWith("recipes:");
}

function collectOptions(
  spec: AnyCommandSpec,
  seen: readonly Occurrence[],
  context: ValueContext,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(spec.options)) values[name] = option.default;
  for (const { name, option, value, negated } of seen) {
    if (option.type === "flag") {
      values[name] = !negated;
      continue;
    }
    const converted = convertOption(option, value ?? "", context);
    values[name] = option.multiple === true ? [...(values[name] as unknown[]), converted] : converted;
  }
  return values;
}

function collectArguments(spec: AnyCommandSpec, operands: readonly string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  let rest = [...operands];
  for (const [name, argument] of Object.entries(spec.args)) {
    const taken = argument.variadic ? rest : rest.slice(0, 1);
    rest = argument.variadic ? [] : rest.slice(1);
    if (taken.length === 0 && argument.required) throw new UsageError(`Missing argument '${argument.metavar}'.`);
    const converted = taken.map((word) => convertArgument(argument, word));
    values[name] = argument.variadic ? converted : converted[0];
  }
  if (rest.length > 0) {
    throw new UsageError(`Got unexpected extra argument${rest.length > 1 ? "s" : ""} (${rest.join(" ")})`);
  }
  return values;
}
