import { OperationFailedError } from "../shared/errors.ts";

const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
const SQLITE_READONLY = 8;

/** Turns what `node:sqlite` or the file system throws about the state file into an error with a next step; others pass through. */
export function toStateError(error: unknown, path: string): unknown {
  if (!(error instanceof Error)) return error;
  const code = sqliteCode(error);
  if (code === SQLITE_NOTADB || code === SQLITE_CORRUPT) {
    return new OperationFailedError(`The state file ${path} is damaged: ${error.message}.`, {
      cause: error,
      hint:
        `Nothing was changed. Restore a backup of the file, try to repair it with ` +
        `\`sqlite3 ${path} .recover\`, or move it away to start with an empty state (running clusters are then unknown).`,
    });
  }
  if (code === SQLITE_FULL || isNoSpace(error)) {
    return new OperationFailedError(`The disk that holds ${path} is full.`, {
      cause: error,
      hint: "Free some space and repeat the command; nothing that was stored before is lost.",
    });
  }
  if (code === SQLITE_CANTOPEN || code === SQLITE_READONLY) {
    return new OperationFailedError(`The state file ${path} cannot be opened for writing: ${error.message}.`, {
      cause: error,
      hint: "Check owner and permissions of the file and of its directory.",
    });
  }
  return error;
}

/** Primary result code of a `node:sqlite` error; undefined for other errors. */
export function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("errcode" in error)) return undefined;
  // Extended codes carry the primary one in their low byte.
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

function isNoSpace(error: Error): boolean {
  return "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
