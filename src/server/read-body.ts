import { InvalidValueError, SkyError } from "../shared/errors.ts";

/** JSON bodies hold a task at most; a YAML of 10 MB must still be told what is wrong with it. */
export const MAX_JSON_BYTES = 24 * 1024 * 1024;

export class BodyTooLargeError extends SkyError {
  readonly code = "BODY_TOO_LARGE";
  override readonly wireName = "ValueError";
  override readonly status = 413;
}

/** Reads a JSON body of bounded size; an empty one is `{}`. Throws BodyTooLargeError and InvalidValueError. */
export async function readJson(request: Request): Promise<unknown> {
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared > MAX_JSON_BYTES) throw tooLarge();
  const text = Number.isNaN(declared) ? await readBounded(request) : await request.text();
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the input, which may hold secrets.
    throw new InvalidValueError("The request body is not valid JSON.");
  }
}

async function readBounded(request: Request): Promise<string> {
  if (request.body === null) return "";
  const decoder = new TextDecoder();
  let size = 0;
  let text = "";
  for await (const chunk of request.body as ReadableStream<Uint8Array>) {
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
