import { z } from "zod";
import { SkyError } from "../errors.ts";
import { PickleTuple, writePickle, type PickleValue } from "./pickle.ts";

/** An error as it is stored with a request and sent in 4xx bodies: plain data, from which the client rebuilds the exception. */
export const WireError = z.object({
  /** Exception class: a Python builtin or a name of `sky.exceptions`. */
  type: z.string(),
  message: z.string(),
  args: z.array(z.unknown()),
  attributes: z.record(z.string(), z.unknown()),
  stacktrace: z.string().nullable().default(null),
  /** Ours: the next step. */
  hint: z.string().nullable().default(null),
  /** Ours: stable, UPPER_SNAKE. */
  code: z.string().nullable().default(null),
});
export type WireError = z.infer<typeof WireError>;

/** Turns an error into plain data. What is not a SkyError is a bug: the user gets its message, the stack goes to the server's log. */
export function toWireError(error: unknown, options: { readonly requestId?: string } = {}): WireError {
  if (error instanceof SkyError) {
    const shape = error.wireShape();
    return {
      type: error.wireName,
      message: error.message,
      args: [...shape.args],
      attributes: { ...shape.attributes },
      stacktrace: null,
      hint: error.hint ?? null,
      code: error.code,
    };
  }
  const reason = error instanceof Error ? error.message : String(error);
  const message = `Internal error: ${reason}`;
  return {
    type: "RuntimeError",
    message,
    args: [message],
    attributes: {},
    stacktrace: null,
    hint:
      options.requestId === undefined
        ? "The server's log has the details."
        : `This is a bug. The server's log has the details under request ${options.requestId}.`,
    code: "INTERNAL",
  };
}

/** JSON text of `RequestPayload.error`: the pickled object for the official client, and the plain fields. */
export function encodeWireError(error: WireError): string {
  const object = writePickle({
    type: error.type,
    message: error.message,
    args: new PickleTuple(error.args.map(toPickleValue)),
    attributes: toPickleValue(error.attributes),
    stacktrace: error.stacktrace,
  });
  return JSON.stringify({
    object: toBase64(object),
    type: error.type,
    message: error.message,
    hint: error.hint,
    code: error.code,
  });
}

/** Anything JSON could hold, with undefined left out. */
function toPickleValue(value: unknown): PickleValue {
  if (value === null || value === undefined) return null;
  if (
    typeof value === "string" ||
    typeof value === "number" ||
    typeof value === "boolean" ||
    typeof value === "bigint"
  ) {
    return value;
  }
  if (Array.isArray(value)) return value.map(toPickleValue);
  if (typeof value !== "object") return null;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, toPickleValue(item)]])),
  );
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
