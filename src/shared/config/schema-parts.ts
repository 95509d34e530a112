/** Short words to write schemas with. */

import type { Schema } from "./json-schema.ts";

export const STRING: Schema = { type: "string" };
export const BOOLEAN: Schema = { type: "boolean" };
export const INTEGER: Schema = { type: "integer" };
export const NUMBER: Schema = { type: "number" };
export const NULL: Schema = { type: "null" };
export const STRINGS: Schema = { type: "array", items: STRING };
/** Any keys, any values. */
export const OPEN: Schema = { type: "object" };
export const STRING_MAP: Schema = { type: "object", additionalProperties: STRING };
export const STRING_OR_NULL: Schema = { anyOf: [STRING, NULL] };

/** A map with exactly these keys. */
export function object(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: "object", required, additionalProperties: false, properties };
}

/** A map with these keys and any others. */
export function openObject(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: "object", required: [], properties };
}

export function mapOf(value: Schema): Schema {
  return { type: "object", required: [], additionalProperties: value };
}

export function listOf(items: Schema): Schema {
  return { type: "array", items };
}

export function either(...anyOf: readonly Schema[]): Schema {
  return { anyOf };
}

/** One of these words, in any case. */
export function word(...words: readonly string[]): Schema {
  return { type: "string", enumIgnoringCase: words };
}

export function pattern(regex: string): Schema {
  return { type: "string", pattern: regex };
}

export function atLeast(minimum: number, type: "integer" | "number" = "integer"): Schema {
  return { type, minimum };
}
