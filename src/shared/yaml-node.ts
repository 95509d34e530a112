/** YAML values as Python sees them (1 is not 1.0, a key may be null), each with its place in the text. */

/** A place in a text, both counted from 1. */
export interface Mark {
  readonly line: number;
  readonly column: number;
}

/** `task.yaml:3:1`, or `line 3, column 1` without a file name. */
export function placeOf(mark: Mark, file?: string): string {
  return file === undefined ? `line ${mark.line}, column ${mark.column}` : `${file}:${mark.line}:${mark.column}`;
}

export interface YamlScalar {
  readonly kind: "scalar";
  readonly type: "null" | "bool" | "int" | "float" | "str" | "bytes" | "timestamp";
  /** A timestamp's value is Python's `str()` of it, its `repr` is beside it; bytes are latin-1 text. */
  readonly value: null | boolean | number | bigint | string;
  readonly repr?: string;
  readonly mark?: Mark | undefined;
}

export interface YamlSequence {
  readonly kind: "sequence";
  readonly items: readonly YamlNode[];
  readonly mark?: Mark | undefined;
}

export interface YamlEntry {
  readonly key: YamlNode;
  readonly value: YamlNode;
}

export interface YamlMapping {
  readonly kind: "mapping";
  readonly entries: readonly YamlEntry[];
  readonly mark?: Mark | undefined;
}

export type YamlNode = YamlScalar | YamlSequence | YamlMapping;

export type YamlPath = readonly (string | number)[];

/** Wraps plain data (JSON, a command-line value) so that it can be checked like a file; it has no marks. Maps may have null keys. */
export function nodeOf(value: unknown): YamlNode {
  if (value === undefined || value === null) return NULL_NODE;
  if (typeof value === "string") return { kind: "scalar", type: "str", value };
  if (typeof value === "boolean") return { kind: "scalar", type: "bool", value };
  if (typeof value === "bigint") return { kind: "scalar", type: "int", value };
  if (typeof value === "number") return { kind: "scalar", type: Number.isInteger(value) ? "int" : "float", value };
  if (typeof value === "object") return nodeOfObject(value);
  throw new TypeError(`A ${typeof value} is no YAML value.`);
}

function nodeOfObject(value: object): YamlNode {
  if (Array.isArray(value)) return { kind: "sequence", items: value.map((item) => nodeOf(item)) };
  const pairs: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  const entries: YamlEntry[] = [];
  for (const [key, item] of pairs) if (item !== undefined) entries.push({ key: nodeOf(key), value: nodeOf(item) });
  return { kind: "mapping", entries };
}

/** Unwraps a node to plain data. Keys become strings (`null`, `1`, `true`), huge integers become the nearest number. */
export function plainOf(node: YamlNode): unknown {
  if (node.kind === "scalar") return typeof node.value === "bigint" ? Number(node.value) : node.value;
  if (node.kind === "sequence") return node.items.map((item) => plainOf(item));
  return Object.fromEntries(node.entries.map(({ key, value }) => [keyText(key), plainOf(value)]));
}

/** A key as text, the way a JSON object would have it. */
export function keyText(key: YamlNode): string {
  return key.kind === "scalar" ? String(key.value) : JSON.stringify(plainOf(key));
}

/** The value under a string key of a mapping; undefined when absent or when the node is no mapping. */
export function child(node: YamlNode | undefined, key: string): YamlNode | undefined {
  return entryOf(node, key)?.value;
}

export function entryOf(node: YamlNode | undefined, key: string): YamlEntry | undefined {
  if (node?.kind !== "mapping") return undefined;
  return node.entries.find((entry) => isString(entry.key) && entry.key.value === key);
}

/** The node at a path, and the key that leads to it (undefined for list items and the root). */
export function locate(
  root: YamlNode,
  path: YamlPath,
): { readonly key: YamlNode | undefined; readonly value: YamlNode } | undefined {
  let found: { key: YamlNode | undefined; value: YamlNode } = { key: undefined, value: root };
  for (const step of path) {
    const at: YamlNode = found.value;
    if (at.kind === "sequence") {
      const item = at.items[Number(step)];
      if (item === undefined) return undefined;
      found = { key: undefined, value: item };
    } else if (at.kind === "mapping") {
      const entry = at.entries.find(({ key }) => keyText(key) === String(step));
      if (entry === undefined) return undefined;
      found = { key: entry.key, value: entry.value };
    } else return undefined;
  }
  return found;
}

export function isNull(node: YamlNode | undefined): boolean {
  return node?.kind === "scalar" && node.type === "null";
}

export function isString(node: YamlNode | undefined): node is YamlScalar & { readonly value: string } {
  return node?.kind === "scalar" && node.type === "str";
}

export function isNumber(
  node: YamlNode | undefined,
): node is YamlScalar & { readonly type: "int" | "float"; readonly value: number | bigint } {
  return node?.kind === "scalar" && (node.type === "int" || node.type === "float");
}

export function stringNode(value: string, mark?: Mark): YamlScalar & { readonly value: string } {
  return { kind: "scalar", type: "str", value, mark };
}

export const NULL_NODE: YamlScalar = { kind: "scalar", type: "null", value: null };

export const EMPTY_MAPPING: YamlMapping = { kind: "mapping", entries: [] };

/** A copy of a mapping with one key set (in place when it exists, else last). */
export function withEntry(map: YamlMapping, key: string, value: YamlNode): YamlMapping {
  const at = map.entries.findIndex((entry) => isString(entry.key) && entry.key.value === key);
  if (at < 0) return { ...map, entries: [...map.entries, { key: stringNode(key), value }] };
  return { ...map, entries: map.entries.map((entry, index) => (index === at ? { key: entry.key, value } : entry)) };
}

export function withoutKeys(map: YamlMapping, keys: readonly string[]): YamlMapping {
  const entries = map.entries.filter(({ key }) => !(isString(key) && keys.includes(key.value)));
  return entries.length === map.entries.length ? map : { ...map, entries };
}

/** A copy without the entries whose value is null (one level). */
export function withoutNulls(map: YamlMapping): YamlMapping {
  const entries = map.entries.filter(({ value }) => !isNull(value));
  return entries.length === map.entries.length ? map : { ...map, entries };
}

/** Applies `change` to every string in a tree, keys included; marks stay. */
export function mapStrings(node: YamlNode, change: (text: string) => string): YamlNode {
  if (isString(node)) {
    const value = change(node.value);
    return value === node.value ? node : { ...node, value };
  }
  if (node.kind === "sequence") return { ...node, items: node.items.map((item) => mapStrings(item, change)) };
  if (node.kind === "scalar") return node;
  const entries = node.entries.map(({ key, value }) => ({
    key: mapStrings(key, change),
    value: mapStrings(value, change),
  }));
  return { ...node, entries };
}
