import { commandTable } from "../command-table.ts";
import { findEntry } from "../run.ts";
import { rootOptions } from "../root-options.ts";
import type { AnyCommandSpec, Completion, OptionSpec } from "../parser/spec.ts";
import type { Machine } from "../context.ts";
import { fetchNames } from "./names.ts";

/** One word that may come next; `file` and `dir` leave it to the shell. */
export interface Suggestion {
  readonly kind: "plain" | "file" | "dir";
  readonly value: string;
  readonly help?: string;
}

/** Finds what may stand where the user is typing. */
export async function suggest(
  words: readonly string[],
  incomplete: string,
  machine: Machine,
): Promise<readonly Suggestion[]> {
  const { entry, rest } = findEntry(words);
  const spec = await entry?.spec?.();
  if (spec === undefined) return suggestCommands(entry?.path ?? "", rest, incomplete);
  const options = Object.values(spec.options);
  const waiting = optionWaiting(options, rest);
  if (waiting !== undefined) return await suggestValues(waiting, incomplete, machine);
  if (incomplete.startsWith("-")) return suggestOptions(options, incomplete);
  return await suggestArgument(spec, rest, incomplete, machine);
}

function plain(values: readonly string[], incomplete: string): readonly Suggestion[] {
  return values.filter((value) => value.startsWith(incomplete)).map((value) => ({ kind: "plain", value }));
}

function suggestCommands(path: string, rest: readonly string[], incomplete: string): readonly Suggestion[] {
  const options = path === "" ? Object.values(rootOptions) : [];
  const waiting = optionWaiting(options, rest);
  if (waiting !== undefined) return plain(waiting.choices ?? [], incomplete);
  if (incomplete.startsWith("-")) return suggestOptions(options, incomplete);
  const prefix = path === "" ? "" : `${path} `;
  return commandTable.flatMap((entry) => {
    const name = entry.path.slice(prefix.length);
    const isChild = entry.path.startsWith(prefix) && !name.includes(" ") && entry.hidden !== true;
    return isChild && name.startsWith(incomplete) ? [{ kind: "plain", value: name, help: entry.summary }] : [];
  });
}

/** The option whose value is being typed. */
function optionWaiting(options: readonly OptionSpec[], rest: readonly string[]): OptionSpec | undefined {
  const last = rest.at(-1);
  if (last === undefined || rest.includes("--")) return undefined;
  return options.find((option) => option.type !== "flag" && option.spellings.includes(last));
}

function suggestOptions(options: readonly OptionSpec[], incomplete: string): readonly Suggestion[] {
  const shown = options
    .filter((option) => option.hidden !== true)
    .flatMap((option) =>
      [...option.spellings, ...(option.negative ?? [])].map((value) => ({
        kind: "plain" as const,
        value,
        help: option.help,
      })),
    );
  const help = ["-h", "--help"].map((value) => ({
    kind: "plain" as const,
    value,
    help: "Show this message and exit.",
  }));
  return [...shown, ...help].filter((suggestion) => suggestion.value.startsWith(incomplete));
}

async function suggestValues(option: OptionSpec, incomplete: string, machine: Machine): Promise<readonly Suggestion[]> {
  if (option.type === "choice") return plain(option.choices ?? [], incomplete);
  if (option.type === "directory") return [{ kind: "dir", value: incomplete }];
  return option.completion === undefined ? [] : await complete(option.completion, incomplete, machine);
}

async function suggestArgument(
  spec: AnyCommandSpec,
  rest: readonly string[],
  incomplete: string,
  machine: Machine,
): Promise<readonly Suggestion[]> {
  const args = Object.values(spec.args);
  const position = Math.min(countOperands(spec, rest), args.length - 1);
  const argument = args[position];
  return argument?.completion === undefined ? [] : await complete(argument.completion, incomplete, machine);
}

function countOperands(spec: AnyCommandSpec, rest: readonly string[]): number {
  const takers = Object.values(spec.options).filter((option) => option.type !== "flag");
  let count = 0;
  for (let index = 0; index < rest.length; index += 1) {
    const word = rest[index] ?? "";
    if (!word.startsWith("-")) count += 1;
    else if (takers.some((option) => option.spellings.includes(word))) index += 1;
  }
  return count;
}

async function complete(completion: Completion, incomplete: string, machine: Machine): Promise<readonly Suggestion[]> {
  if (completion === "file_name") return [{ kind: "file", value: incomplete }];
  return plain(await fetchNames(completion, incomplete, machine), incomplete);
}
