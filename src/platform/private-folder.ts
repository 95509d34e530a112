import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { OperationFailedError } from "../shared/errors.ts";

/** Makes a folder that is ours alone where anybody may make folders (/tmp). Throws OperationFailedError when somebody else did. */
export function ensurePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stats = lstatSync(path);
  if (!stats.isDirectory() || stats.uid !== (process.getuid?.() ?? stats.uid)) {
    throw new OperationFailedError(`${path} is not a private folder of this user.`, {
      hint: `Remove it: rm -r ${path}`,
    });
  }
  if ((stats.mode & 0o077) !== 0) chmodSync(path, 0o700);
}
