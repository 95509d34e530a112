import { OperationFailedError } from "../../shared/errors.ts";

/**
 * Says what a failed write in the server's home means and what to do; any other error stays what it is. `place` is the directory
 * that had to be written.
 */
export function toFileError(error: unknown, place: string): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  // A copy's error names its source first.
  const {
    code,
    path: source = place,
    dest: path = source,
  } = error as NodeJS.ErrnoException & { readonly dest?: string };
  switch (code) {
    case "EACCES":
    case "EPERM":
      return new OperationFailedError(`${path} cannot be written: permission denied.`, {
        cause: error,
        hint: `Give ${place} to the user that runs the API server, e.g. with: sudo chown -R "$(id -un)" ${place}`,
      });
    case "EROFS":
      return new OperationFailedError(`${path} cannot be written: the file system is read-only.`, {
        cause: error,
        hint: "Start the API server with a HOME that can be written.",
      });
    case "ENOSPC":
    case "EDQUOT":
      return new OperationFailedError(`${path} cannot be written: no space is left on the disk.`, {
        cause: error,
        hint: "Free space (sky down removes the files of a local cluster), then repeat the command.",
      });
    case undefined:
    default:
      return error;
  }
}
