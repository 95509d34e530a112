/**
 * The part of JSON Schema that task files and config files need. The texts and the choice of the error to show are those of
 * Python's jsonschema, because users (and scripts) know them.
 */

import { isString, keyText, nodeOf, type YamlMapping, type YamlNode, type YamlPath } from "../yaml-node.ts";
import { pyRepr, reprString } from "../yaml-repr.ts";

type TypeName = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";

/** The keywords are checked in the order in which a schema lists them: among equal errors the first one is shown. */
export interface Schema {
  readonly type?: TypeName | readonly TypeName[];
  readonly enum?: readonly (string | null)[];
  /** An enum that compares strings in lower case. */
  readonly enumIgnoringCase?: readonly string[];
  /** A Python regular expression, searched anywhere. */
  readonly pattern?: string;
  /** What passes (trimmed, in lower case) in spite of the pattern, which messages show as SkyPilot 0.14.1 has it. */
  readonly alsoAccepts?: RegExp;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: false | Schema;
  readonly propertyNames?: Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: true;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly not?: Schema;
}

export interface SchemaError {
  readonly keyword: keyof Schema;
  readonly message: string;
  /** From the node that the reporting schema was applied to. */
  readonly path: YamlPath;
  readonly node: YamlNode;
  readonly schema: Schema;
  /** For anyOf and oneOf: what each branch said. */
  readonly context: readonly SchemaError[];
}

/** Every violation, in schema order; empty for a valid node. */
export function schemaErrors(node: YamlNode, schema: Schema): SchemaError[] {
  const errors: SchemaError[] = [];
  for (const keyword of Object.keys(schema) as (keyof Schema)[]) {
    for (const finding of CHECKS[keyword](node, schema))
      errors.push({ keyword, node, schema, path: [], context: [], ...finding });
  }
  return errors;
}

export function isValid(node: YamlNode, schema: Schema): boolean {
  return schemaErrors(node, schema).length === 0;
}

type Finding = Pick<SchemaError, "message"> & Partial<SchemaError>;
type Check = (node: YamlNode, schema: Schema) => readonly Finding[];

const NOTHING: readonly Finding[] = [];

function fail(message: string): readonly Finding[] {
  return [{ message }];
}

/** Errors of a part, with the step to it put in front of their paths. */
function within(step: string | number | undefined, errors: readonly SchemaError[]): Finding[] {
  return step === undefined ? [...errors] : errors.map((error) => ({ ...error, path: [step, ...error.path] }));
}

function isType(node: YamlNode, type: TypeName): boolean {
  if (node.kind !== "scalar") return type === (node.kind === "mapping" ? "object" : "array");
  switch (type) {
    case "object":
    case "array":
      return false;
    case "string":
      return node.type === "str";
    case "number":
      return node.type === "int" || node.type === "float";
    case "integer":
      return node.type === "int" || (node.type === "float" && Number.isInteger(node.value));
    case "boolean":
      return node.type === "bool";
    case "null":
      return node.type === "null";
  }
}

function typesOf(schema: Schema): readonly TypeName[] {
  if (schema.type === undefined) return [];
  return typeof schema.type === "string" ? [schema.type] : schema.type;
}

function numberOf(node: YamlNode): number | undefined {
  return isType(node, "number") && node.kind === "scalar" ? Number(node.value) : undefined;
}

/** Bounds are checked on the number, or the length, of values that have one. */
function bound(
  keyword: keyof Schema,
  measure: (node: YamlNode) => number | undefined,
  broken: (value: number, limit: number) => boolean,
  text: (limit: number) => string,
): Check {
  return (node, schema) => {
    const value = measure(node);
    const limit = schema[keyword];
    if (value === undefined || typeof limit !== "number" || !broken(value, limit)) return NOTHING;
    return fail(`${pyRepr(node)} ${text(limit)}`);
  };
}

const above = (value: number, limit: number): boolean => value > limit;
const below = (value: number, limit: number): boolean => value < limit;
const lengthOf = (node: YamlNode): number | undefined => (isString(node) ? Array.from(node.value).length : undefined);
const sizeOf = (node: YamlNode): number | undefined => (node.kind === "mapping" ? node.entries.length : undefined);
const countOf = (node: YamlNode): number | undefined => (node.kind === "sequence" ? node.items.length : undefined);
const tooShort = (limit: number): string => (limit === 1 ? "should be non-empty" : "is too short");
const tooLong = (limit: number): string => (limit === 0 ? "is expected to be empty" : "is too long");

const CHECKS: Readonly<Record<keyof Schema, Check>> = {
  type(node, schema) {
    const types = typesOf(schema);
    if (types.some((type) => isType(node, type))) return NOTHING;
    return fail(`${pyRepr(node)} is not of type ${types.map((type) => reprString(type)).join(", ")}`);
  },
  enum(node, schema) {
    const values = schema.enum ?? [];
    if (node.kind === "scalar" && values.includes(node.value as string | null)) return NOTHING;
    return fail(`${pyRepr(node)} is not one of ${pyRepr(nodeOf(values))}`);
  },
  enumIgnoringCase(node, schema) {
    const values = schema.enumIgnoringCase ?? [];
    if (!isString(node)) return NOTHING;
    if (values.some((value) => value.toLowerCase() === node.value.toLowerCase())) return NOTHING;
    return fail(`${pyRepr(node)} is not one of ${pyRepr(nodeOf(values))}`);
  },
  pattern(node, schema) {
    if (!isString(node) || schema.pattern === undefined || searchPython(schema.pattern, node.value)) return NOTHING;
    if (schema.alsoAccepts?.test(node.value.trim().toLowerCase()) === true) return NOTHING;
    return fail(`${pyRepr(node)} does not match ${reprString(schema.pattern)}`);
  },
  minimum: bound("minimum", numberOf, below, (limit) => `is less than the minimum of ${limit}`),
  maximum: bound("maximum", numberOf, above, (limit) => `is greater than the maximum of ${limit}`),
  exclusiveMinimum: bound(
    "exclusiveMinimum",
    numberOf,
    (value, limit) => value <= limit,
    (limit) => `is less than or equal to the minimum of ${limit}`,
  ),
  minLength: bound("minLength", lengthOf, below, tooShort),
  maxLength: bound("maxLength", lengthOf, above, tooLong),
  minItems: bound("minItems", countOf, below, tooShort),
  maxItems: bound("maxItems", countOf, above, tooLong),
  minProperties: bound("minProperties", sizeOf, below, (limit) =>
    limit === 1 ? "should be non-empty" : "does not have enough properties",
  ),
  maxProperties: bound("maxProperties", sizeOf, above, (limit) =>
    limit === 0 ? "is expected to be empty" : "has too many properties",
  ),
  required(node, schema) {
    if (node.kind !== "mapping") return NOTHING;
    const present = new Set(node.entries.map(({ key }) => (isString(key) ? key.value : undefined)));
    return (schema.required ?? [])
      .filter((name) => !present.has(name))
      .map((name) => ({ message: `${reprString(name)} is a required property` }));
  },
  properties(node, schema) {
    if (node.kind !== "mapping") return NOTHING;
    const found: Finding[] = [];
    const values = new Map(node.entries.flatMap(({ key, value }) => (isString(key) ? [[key.value, value]] : [])));
    for (const [name, part] of Object.entries(schema.properties ?? {})) {
      const value = values.get(name);
      if (value !== undefined) found.push(...within(name, schemaErrors(value, part)));
    }
    return found;
  },
  // Read by `pattern`.
  alsoAccepts: () => NOTHING,
  patternProperties(node, schema) {
    if (node.kind !== "mapping") return NOTHING;
    const found: Finding[] = [];
    for (const [pattern, part] of Object.entries(schema.patternProperties ?? {}))
      for (const { key, value } of node.entries)
        if (searchPython(pattern, keyText(key))) found.push(...within(keyText(key), schemaErrors(value, part)));
    return found;
  },
  additionalProperties(node, schema) {
    if (node.kind !== "mapping" || schema.additionalProperties === undefined) return NOTHING;
    const extra = additionalKeys(node, schema);
    const part = schema.additionalProperties;
    if (part !== false)
      return node.entries
        .filter(({ key }) => extra.includes(keyText(key)))
        .flatMap(({ key, value }) => within(keyText(key), schemaErrors(value, part)));
    return extra.length === 0 ? NOTHING : fail(additionalText(extra, schema));
  },
  propertyNames(node, schema) {
    if (node.kind !== "mapping" || schema.propertyNames === undefined) return NOTHING;
    const names = schema.propertyNames;
    return node.entries.flatMap(({ key }) => within(undefined, schemaErrors(key, names)));
  },
  items(node, schema) {
    const part = schema.items;
    if (node.kind !== "sequence" || part === undefined) return NOTHING;
    return node.items.flatMap((item, index) => within(index, schemaErrors(item, part)));
  },
  uniqueItems(node) {
    if (node.kind !== "sequence") return NOTHING;
    const seen = new Set(node.items.map((item) => pyRepr(item)));
    return seen.size === node.items.length ? NOTHING : fail(`${pyRepr(node)} has non-unique elements`);
  },
  anyOf(node, schema) {
    const branches = (schema.anyOf ?? []).map((branch) => schemaErrors(node, branch));
    if (branches.some((errors) => errors.length === 0)) return NOTHING;
    return [{ message: `${pyRepr(node)} is not valid under any of the given schemas`, context: branches.flat() }];
  },
  oneOf(node, schema) {
    const branches = (schema.oneOf ?? []).map((branch) => schemaErrors(node, branch));
    const valid = branches.filter((errors) => errors.length === 0).length;
    if (valid === 1) return NOTHING;
    if (valid > 1) return fail(`${pyRepr(node)} is valid under each of ${alternatives(schema, branches)}`);
    return [{ message: `${pyRepr(node)} is not valid under any of the given schemas`, context: branches.flat() }];
  },
  allOf(node, schema) {
    return (schema.allOf ?? []).flatMap((part) => schemaErrors(node, part));
  },
  not(node, schema) {
    if (schema.not === undefined || !isValid(node, schema.not)) return NOTHING;
    return fail(`${pyRepr(node)} should not be valid under ${pyRepr(nodeOf(schema.not))}`);
  },
};

/** The branches that fit, the first of them last. */
function alternatives(schema: Schema, branches: readonly (readonly SchemaError[])[]): string {
  const fitting = (schema.oneOf ?? []).filter((_, index) => branches[index]?.length === 0);
  return [...fitting.slice(1), ...fitting.slice(0, 1)].map((branch) => pyRepr(nodeOf(branch))).join(", ");
}

/** Keys that neither `properties` nor `patternProperties` knows. */
export function additionalKeys(node: YamlMapping, schema: Schema): string[] {
  const known = schema.properties ?? {};
  const patterns = Object.keys(schema.patternProperties ?? {});
  return node.entries
    .filter(({ key }) => !(isString(key) && Object.hasOwn(known, key.value)))
    .map(({ key }) => keyText(key))
    .filter((name) => !patterns.some((pattern) => searchPython(pattern, name)));
}

function additionalText(extra: readonly string[], schema: Schema): string {
  const names = extra.map((name) => reprString(name));
  if (schema.patternProperties === undefined)
    return `Additional properties are not allowed (${names.join(", ")} ${extra.length === 1 ? "was" : "were"} unexpected)`;
  const patterns = Object.keys(schema.patternProperties)
    .sort()
    .map((pattern) => reprString(pattern));
  const verb = extra.length === 1 ? "does" : "do";
  return `${[...names].sort().join(", ")} ${verb} not match any of the regexes: ${patterns.join(", ")}`;
}

const compiled = new Map<string, RegExp>();

/** Python's `re.search`: `$` also matches before a final newline. */
function searchPython(pattern: string, text: string): boolean {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = new RegExp(pattern, "u");
    compiled.set(pattern, regex);
  }
  return regex.test(text) || (pattern.endsWith("$") && text.endsWith("\n") && regex.test(text.slice(0, -1)));
}

/** Orders errors by how well they explain: shallow before deep, then later siblings, concrete before anyOf, right type. */
function compareRelevance(a: SchemaError, b: SchemaError): number {
  if (a.path.length !== b.path.length) return b.path.length - a.path.length;
  const path = comparePaths(a.path, b.path);
  if (path !== 0) return path;
  const weak = Number(!isWeak(a)) - Number(!isWeak(b));
  return weak === 0 ? Number(!matchesType(a)) - Number(!matchesType(b)) : weak;
}

function isWeak(error: SchemaError): boolean {
  return error.keyword === "anyOf" || error.keyword === "oneOf";
}

function matchesType(error: SchemaError): boolean {
  return typesOf(error.schema).some((type) => isType(error.node, type));
}

function comparePaths(a: YamlPath, b: YamlPath): number {
  for (const [index, step] of a.entries()) {
    const other = b[index];
    if (other === undefined || step === other) continue;
    return step < other ? -1 : 1;
  }
  return a.length - b.length;
}

/** Follows the deepest branch of anyOf and oneOf, unless two branches explain equally well. The path becomes absolute. */
export function mostSpecific(error: SchemaError): SchemaError {
  let best = error;
  while (best.context.length > 0) {
    const [first, second] = [...best.context].sort(compareRelevance);
    if (first === undefined || (second !== undefined && compareRelevance(first, second) === 0)) return best;
    best = { ...first, path: [...best.path, ...first.path] };
  }
  return best;
}
