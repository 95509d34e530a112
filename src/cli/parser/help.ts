import type { AnyCommandSpec, OptionSpec } from "./spec.ts";

/** Click's page width: 80 columns with two left free. */
const WIDTH = 78;
const NAME_COLUMN_MAX = 30;

export interface HelpEntry {
  readonly name: string;
  readonly summary: string;
}

/** The usage line of a command: `sky launch [OPTIONS] [ENTRYPOINT]...`. */
export function usageOf(path: string, spec: AnyCommandSpec): string {
  return [path, "[OPTIONS]", ...Object.values(spec.args).map((argument) => argument.metavar)].join(" ");
}

export function groupUsage(path: string): string {
  return `${path} [OPTIONS] COMMAND [ARGS]...`;
}

/** The whole help page of a command, laid out as Click does. */
export function renderHelp(path: string, spec: AnyCommandSpec): string {
  return `Usage: ${usageOf(path, spec)}\n\n${renderText(spec.help)}\n\n${renderOptions(Object.values(spec.options))}`;
}

/** The help page of `sky` or of a group such as `sky api`. */
export function renderGroupHelp(
  path: string,
  help: string | undefined,
  options: readonly OptionSpec[],
  commands: readonly HelpEntry[],
): string {
  const text = help === undefined ? "" : `${renderText(help)}\n\n`;
  const rows = commands.map((entry) => [entry.name, entry.summary] as const);
  return `Usage: ${groupUsage(path)}\n\n${text}${renderOptions(options)}\nCommands:\n${renderDefinitions(rows)}`;
}

function renderOptions(options: readonly OptionSpec[]): string {
  const rows = options.filter((option) => option.hidden !== true).map((option) => [namesOf(option), helpOf(option)]);
  rows.push(["-h, --help", "Show this message and exit."]);
  return `Options:\n${renderDefinitions(rows as [string, string][])}`;
}

function helpOf(option: OptionSpec): string {
  return option.min === undefined ? option.help : `${option.help}  [x>=${option.min}]`;
}

function namesOf(option: OptionSpec): string {
  const shortFirst = [...option.spellings].sort((a, b) => dashes(a) - dashes(b)).join(", ");
  const negative = option.negative === undefined ? "" : ` / ${option.negative.join(", ")}`;
  const placeholder = placeholderOf(option);
  return `${shortFirst}${negative}${placeholder === "" ? "" : ` ${placeholder}`}`;
}

function dashes(spelling: string): number {
  return spelling.startsWith("--") ? 2 : 1;
}

function placeholderOf(option: OptionSpec): string {
  switch (option.type) {
    case "flag":
      return "";
    case "choice":
      return `[${(option.choices ?? []).join("|")}]`;
    case "integer":
      return option.min === undefined ? "INTEGER" : "INTEGER RANGE";
    case "float":
      return "FLOAT";
    case "directory":
      return "DIRECTORY";
    case "file":
      return "FILE";
    case "assignment":
      return "KEY[=VALUE]";
    case "int-or-none":
      return "INTEGER|all";
    case "text":
      return "TEXT";
  }
}

function renderDefinitions(rows: readonly (readonly [string, string])[]): string {
  const widest = Math.max(...rows.map(([name]) => name.length));
  const column = Math.min(widest, NAME_COLUMN_MAX) + 2;
  const indent = " ".repeat(column + 2);
  let out = "";
  for (const [name, help] of rows) {
    const lines = wrap(help, Math.max(WIDTH - column - 2, 10));
    const fits = name.length <= column - 2;
    const head = fits ? `  ${name.padEnd(column)}${lines[0] ?? ""}` : `  ${name}`;
    const tail = fits ? lines.slice(1) : lines;
    out += [head.trimEnd(), ...tail.map((line) => indent + line)].join("\n") + "\n";
  }
  return out;
}

/** Paragraphs are separated by an empty line; a paragraph of indented lines is kept as it is. */
function renderText(text: string): string {
  return text
    .split("\n\n")
    .map((paragraph) =>
      paragraph.startsWith("  ")
        ? paragraph
            .split("\n")
            .map((line) => `  ${line}`)
            .join("\n")
        : wrap(paragraph.replaceAll("\n", " "), WIDTH - 2)
            .map((line) => `  ${line}`)
            .join("\n"),
    )
    .join("\n\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
