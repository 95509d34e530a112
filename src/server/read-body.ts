import type { IncomingMessage } from "node:http";
import { InvalidValueError, SkyError } from "../shared/errors.ts";

/** JSON bodies hold a task at most; a YAML of 10 MB must still be told what is wrong with it. */
export const MAX_JSON_BYTES = 24 * 1024 * 1024;

export class BodyTooLargeError extends SkyError {
  readonly code = "BODY_TOO_LARGE";
  override readonly wireName = "ValueError";
  override readonly status = 413;
}

/**
 * Reads a JSON body of bounded size; an empty one is `{}`. `incoming`: Node's own request, read in place of the Request, whose
 * web stream costs more than everything else of a short request. Throws BodyTooLargeError and InvalidValueError.
 */
export async function readJson(request: Request, incoming?: IncomingMessage): Promise<unknown> {
  const declared = Number(incoming?.headers["content-length"] ?? request.headers.get("content-length") ?? Number.NaN);
  if (declared > MAX_JSON_BYTES) throw tooLarge();
  const source = incoming ?? request.body;
  const text = source === null ? "" : await readBounded(source);
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the input, which may hold secrets.
    throw new InvalidValueError("The request body is not valid JSON.");
  }
}

async function readBounded(source: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let size = 0;
  let text = "";
  for await (const chunk of source) {
    size += chunk.length;
    if (size > MAX_JSON_BYTES) throw tooLarge();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(): BodyTooLargeError {
  return new BodyTooLargeError(`The request body is larger than ${MAX_JSON_BYTES / 1024 / 1024} MiB.`, {
    hint: "Put large files under workdir or file_mounts instead of into the task's YAML.",
  });
}
