/** Python's `repr()` and `str()` of YAML values: error texts and environment values show them. */

import type { YamlNode, YamlScalar } from "./yaml-node.ts";

/** Python's `repr()`: `'text'`, `1.0`, `True`, `None`, `{'a': [1]}`. */
export function pyRepr(node: YamlNode): string {
  if (node.kind === "sequence") return `[${node.items.map((item) => pyRepr(item)).join(", ")}]`;
  if (node.kind === "mapping")
    return `{${node.entries.map(({ key, value }) => `${pyRepr(key)}: ${pyRepr(value)}`).join(", ")}}`;
  if (node.type === "str") return reprString(String(node.value));
  if (node.type === "bytes") return `b${reprString(String(node.value))}`;
  if (node.type === "timestamp") return node.repr ?? String(node.value);
  return reprAtom(node);
}

/** Python's `str()`: a string is itself, everything else is its repr. */
export function pyStr(node: YamlNode): string {
  if (node.kind === "scalar" && (node.type === "str" || node.type === "timestamp")) return String(node.value);
  return pyRepr(node);
}

function reprAtom(node: YamlScalar): string {
  if (node.value === null) return "None";
  if (node.value === true) return "True";
  if (node.value === false) return "False";
  return node.type === "float" ? reprFloat(Number(node.value)) : String(node.value);
}

/** Python's repr of a float: always with a point or an exponent, exponents below 1e-4 and from 1e16. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (Object.is(value, -0)) return "-0.0";
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    const [digits, exponent] = value.toExponential().split("e");
    const power = Number(exponent);
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  const text = String(value);
  return text.includes(".") || text.includes("e") ? expandExponent(text, value) : `${text}.0`;
}

/** JavaScript writes 1e-5 < x < 1e-4 with a point already, so only 1e-7-like forms could come here. */
function expandExponent(text: string, value: number): string {
  return text.includes("e") ? value.toFixed(20).replace(/0+$/, "") : text;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Python's repr of a string: single quotes unless it has one and no double quote. */
export function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = "";
  for (const char of text) {
    if (char === quote) out += `\\${char}`;
    else out += ESCAPES[char] ?? (isPrintable(char) ? char : escapeCode(char.codePointAt(0) ?? 0));
  }
  return quote + out + quote;
}

function isPrintable(char: string): boolean {
  return char === " " || !/[\p{C}\p{Z}]/u.test(char);
}

function escapeCode(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}
