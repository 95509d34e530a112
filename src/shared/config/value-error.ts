/** Errors about a value that is well-formed but wrong, with its place in the file. */

import { InvalidValueError } from "../errors.ts";
import { placeOf, type YamlNode, type YamlPath } from "../yaml-node.ts";
import { dottedPath } from "./schema-report.ts";

/** Where a value came from: for error texts only. */
export interface Origin {
  readonly file?: string | undefined;
  readonly node?: YamlNode | undefined;
  readonly path?: YamlPath | undefined;
}

/** The message as SkyPilot 0.14.1 prints it, then a line with file, line, column and path when they are known. */
export function valueError(message: string, origin: Origin = {}): InvalidValueError {
  return new InvalidValueError(message + placeSuffix(origin));
}

export function placeSuffix({ file, node, path }: Origin): string {
  if (file === undefined || node?.mark === undefined) return "";
  const name = dottedPath(path ?? []);
  return `\n  at ${placeOf(node.mark, file)}${name === "" ? "" : ` (${name})`}`;
}

/** Runs a check of one value; its InvalidValueError gets the place of that value. */
export function located<T>(origin: Origin, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof InvalidValueError && !error.message.includes("\n  at "))
      throw new InvalidValueError(error.message + placeSuffix(origin), { cause: error });
    throw error;
  }
}
