/** One option: its text, or the options of an indented block below it. */
export type IniValue = string | ReadonlyMap<string, string>;
export type IniSection = ReadonlyMap<string, IniValue>;

/** The file is not an INI file as the AWS CLI reads it. */
export class IniError extends Error {
  /** Counted from 1. */
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.name = "IniError";
    this.line = line;
  }
}

interface Parsing {
  readonly sections: Map<string, Map<string, string[]>>;
  /** Options of `[DEFAULT]`, which every section inherits. */
  readonly defaults: Map<string, string[]>;
  section: Map<string, string[]> | undefined;
  sectionName: string;
  option: string[] | undefined;
  indent: number;
  /** First line that is neither option nor section; reported only when the rest of the file has no worse fault. */
  garbage: IniError | undefined;
}

const DEFAULT_SECTION = "DEFAULT";

/**
 * Reads an AWS config or credentials file the way botocore does (Python's RawConfigParser: `#` and `;` comment lines, `=` and `:`,
 * continuation by indentation, option names in lower case, duplicates are errors). A byte order mark is skipped. Throws IniError.
 */
export function parseIni(text: string): ReadonlyMap<string, IniSection> {
  const parsing: Parsing = {
    sections: new Map(),
    defaults: new Map(),
    section: undefined,
    sectionName: "",
    option: undefined,
    indent: 0,
    garbage: undefined,
  };
  const lines = text.replace(/^\uFEFF/u, "").split(/\r\n|\r|\n/u);
  for (const [index, line] of lines.entries()) readLine(parsing, line, index + 1);
  if (parsing.garbage !== undefined) throw parsing.garbage;
  return new Map([...parsing.sections].map(([name, options]) => [name, finish(parsing.defaults, options, lines)]));
}

function readLine(parsing: Parsing, line: string, number: number): void {
  const value = line.trim();
  if (value.startsWith("#") || value.startsWith(";")) return;
  if (value === "") {
    parsing.option?.push("");
    return;
  }
  const indent = line.search(/\S/u);
  if (parsing.option !== undefined && indent > parsing.indent) {
    parsing.option.push(value);
    return;
  }
  parsing.indent = indent;
  const header = /^\[(.+)\]/u.exec(value)?.[1];
  if (header === undefined) readOption(parsing, value, number);
  else openSection(parsing, header, number);
}

function openSection(parsing: Parsing, name: string, number: number): void {
  parsing.option = undefined;
  parsing.sectionName = name;
  if (name === DEFAULT_SECTION) {
    parsing.section = parsing.defaults;
    return;
  }
  if (parsing.sections.has(name)) throw new IniError(`the section [${name}] is there twice`, number);
  parsing.section = new Map();
  parsing.sections.set(name, parsing.section);
}

function readOption(parsing: Parsing, value: string, number: number): void {
  if (parsing.section === undefined) throw new IniError("there is text before the first [section]", number);
  const at = value.search(/[=:]/u);
  const name = at < 0 ? "" : value.slice(0, at).trim().toLowerCase();
  if (name === "") {
    parsing.garbage ??= new IniError("the line is neither `name = value` nor a [section]", number);
    if (at < 0) return;
  }
  if (parsing.section.has(name)) {
    throw new IniError(`${name} is there twice in [${parsing.sectionName}]`, number);
  }
  parsing.option = [value.slice(at + 1).trim()];
  parsing.section.set(name, parsing.option);
}

function finish(
  defaults: ReadonlyMap<string, string[]>,
  options: ReadonlyMap<string, string[]>,
  lines: readonly string[],
): IniSection {
  const joined = new Map<string, IniValue>();
  for (const [name, parts] of [...defaults, ...options]) joined.set(name, toValue(name, parts, lines));
  return joined;
}

function toValue(name: string, parts: readonly string[], lines: readonly string[]): IniValue {
  const text = parts.join("\n").trimEnd();
  if (!text.startsWith("\n")) return text;
  const block = new Map<string, string>();
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at < 0) {
      const number = lines.findIndex((candidate) => candidate.trim() === line) + 1;
      throw new IniError(`the block below ${name} has a line without =`, number);
    }
    block.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return block;
}
