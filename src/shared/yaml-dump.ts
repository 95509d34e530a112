/** Writes plain data as YAML that PyYAML (1.1) and we read back unchanged. */

import { Secret } from "./secret.ts";
import { floatText, resolvePlain } from "./yaml-scalars.ts";

export interface DumpYamlOptions {
  /** A blank line between the keys of the outermost map, as SkyPilot prints tasks; default true. */
  readonly blankLines?: boolean;
}

/** Data as it is written: `undefined` fields are left out; a Map may have null keys; a Secret prints as `<redacted>`. */
export function dumpYaml(value: unknown, options: DumpYamlOptions = {}): string {
  const lines: string[] = [];
  if (isBlock(value)) writeBlock(value, "", lines, options.blankLines ?? true);
  else lines.push(...inlineLines(value, "  "));
  return `${lines.join("\n")}\n`;
}

/** Joins documents the way `yaml.dump_all` does. */
export function dumpYamlDocuments(values: readonly unknown[], options: DumpYamlOptions = {}): string {
  return values.map((value) => dumpYaml(value, options)).join("---\n\n");
}

type Pairs = readonly (readonly [unknown, unknown])[];

function pairsOf(value: object): Pairs {
  const pairs: Pairs = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
  return pairs.filter(([, item]) => item !== undefined);
}

function isBlock(value: unknown): value is object {
  if (typeof value !== "object" || value === null || value instanceof Secret) return false;
  return Array.isArray(value) ? value.length > 0 : pairsOf(value).length > 0;
}

function writeBlock(value: object, indent: string, lines: string[], blankLines: boolean): void {
  if (Array.isArray(value)) {
    for (const item of value) writeItem(item, indent, lines);
    return;
  }
  pairsOf(value).forEach(([key, item], index) => {
    if (blankLines && index > 0) lines.push("");
    writePair(key, item, indent, lines);
  });
}

function writePair(key: unknown, item: unknown, indent: string, lines: string[]): void {
  const name = scalarText(key);
  // PyYAML reads a key on the line of its colon only up to 1024 characters.
  const long = name.length > 1000;
  if (long) lines.push(`${indent}? ${name}`);
  const start = long ? `${indent}:` : `${indent}${name}:`;
  if (isBlock(item)) {
    lines.push(start);
    writeBlock(item, Array.isArray(item) ? indent : `${indent}  `, lines, false);
    return;
  }
  const [first = "", ...rest] = inlineLines(item, `${indent}  `);
  lines.push(`${start} ${first}`, ...rest);
}

function writeItem(item: unknown, indent: string, lines: string[]): void {
  if (!isBlock(item)) {
    const [first = "", ...rest] = inlineLines(item, `${indent}  `);
    lines.push(`${indent}- ${first}`, ...rest);
    return;
  }
  const nested: string[] = [];
  writeBlock(item, `${indent}  `, nested, false);
  nested[0] = `${indent}- ${(nested[0] ?? "").slice(indent.length + 2)}`;
  lines.push(...nested);
}

/** A scalar or an empty collection; a multi-line text comes as a literal block with its lines at `indent`. */
function inlineLines(value: unknown, indent: string): string[] {
  if (typeof value === "string" && isLiteral(value)) {
    const body = value.endsWith("\n") ? value.slice(0, -1) : value;
    const lines = body.split("\n").map((line) => (line === "" ? "" : indent + line));
    return [value.endsWith("\n") ? "|" : "|-", ...lines];
  }
  if (Array.isArray(value)) return ["[]"];
  if (typeof value === "object" && value !== null && !(value instanceof Secret)) return ["{}"];
  return [scalarText(value)];
}

/** Several lines, nothing that a literal block would change: no trailing blanks, no odd first line, one final newline at most. */
function isLiteral(text: string): boolean {
  return text.includes("\n") && isPlainPrintable(text) && !/^[\s]|[ \t]\n|[ \t]$|\n\n$/.test(text);
}

function scalarText(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return quoteYaml(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number")
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : floatText(value);
  if (value instanceof Secret) return quoteYaml(value.toString());
  throw new TypeError(
    typeof value === "object" ? "A collection cannot be a YAML key." : `A ${typeof value} is no YAML.`,
  );
}

/** One line of YAML that reads back as exactly this string. */
export function quoteYaml(text: string): string {
  if (!isPlainPrintable(text) || text.includes("\n")) return doubleQuote(text);
  return isPlain(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

/** Printable for YAML 1.1 readers, without tabs and without the line breaks that only YAML 1.1 knows. */
function isPlainPrintable(text: string): boolean {
  return /^[\n\u0020-\u007E\u00A0-\u2027\u202A-\uD7FF\uE000-\uFEFE\uFF00-\uFFFD\u{10000}-\u{10FFFF}]*$/u.test(text);
}

function isPlain(text: string): boolean {
  if (text === "" || resolvePlain(text) !== "str") return false;
  if (/^[#,[\]{}&*!|>'"%@`\s]|^[-?:](?:\s|$)|^(?:---|\.\.\.)|[\s:]$|:\s|\s#/.test(text)) return false;
  // Inside flow collections of hand-merged files `?` and `:` at the start would be read as indicators.
  return !/^[?:]/.test(text);
}

const NAMED: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  '"': '\\"',
  "\n": "\\n",
  "\t": "\\t",
  "\r": "\\r",
  "\0": "\\0",
};

function doubleQuote(text: string): string {
  let out = "";
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    out += NAMED[char] ?? (isPlainPrintable(char) ? char : escapeCode(code));
  }
  return `"${out}"`;
}

function escapeCode(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0").toUpperCase()}`;
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, "0").toUpperCase()}`;
  return `\\U${code.toString(16).padStart(8, "0").toUpperCase()}`;
}
