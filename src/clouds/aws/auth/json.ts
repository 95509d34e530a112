export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses text that should hold a JSON object; undefined when it holds something else. */
export function parseObject(text: string): JsonObject | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isObject(value) ? value : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field that is a text and not empty. */
export function textField(object: JsonObject | undefined, name: string): string | undefined {
  const value = object?.[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function objectField(object: JsonObject | undefined, name: string): JsonObject | undefined {
  const value = object?.[name];
  return isObject(value) ? value : undefined;
}

/** For values that the code itself must have provided. */
export function requireText(value: string | undefined, what: string): string {
  if (value === undefined) throw new Error(`There is no ${what}.`);
  return value;
}

/** Milliseconds since the epoch from a time as AWS's files have it; undefined when it is none. */
export function timeField(object: JsonObject | undefined, name: string): number | undefined {
  const value = object?.[name];
  if (typeof value === "number") return value;
  // Old releases of the AWS CLI wrote `2020-06-17T10:02:08UTC`.
  const time = typeof value === "string" ? Date.parse(value.replace(/UTC$/u, "Z")) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
