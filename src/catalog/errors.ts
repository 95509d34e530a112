import { SkyError } from "../shared/errors.ts";

/** A catalog file cannot be read; the file is the user's, so nothing is guessed or skipped. */
export class InvalidCatalogError extends SkyError {
  readonly code = "INVALID_CATALOG";
  override readonly wireName = "RuntimeError";

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`Failed to read ${path}: ${problem}.`, {
      ...options,
      hint: "To fix: correct the file, or delete it to use the built-in catalog.",
    });
  }
}
