import { expect, test } from "vitest";
import { OperationFailedError } from "../../shared/errors.ts";
import { toFileError } from "./file-errors.ts";

function systemError(code: string, path?: string): Error {
  return Object.assign(new Error(`${code}: it went wrong`), { code, ...(path === undefined ? {} : { path }) });
}

test.each([
  ["EACCES", "/home/me/.sky/local cannot be written: permission denied.", "sudo chown"],
  ["EPERM", "/home/me/.sky/local cannot be written: permission denied.", "sudo chown"],
  ["EROFS", "/home/me/.sky/local cannot be written: the file system is read-only.", "HOME that can be written"],
  ["ENOSPC", "/home/me/.sky/local cannot be written: no space is left on the disk.", "Free space"],
  ["EDQUOT", "/home/me/.sky/local cannot be written: no space is left on the disk.", "Free space"],
])("%s says what to do", (code, message, hint) => {
  for (const cause of [systemError(code), systemError(code, "/home/me/.sky/local")]) {
    const error = toFileError(cause, "/home/me/.sky/local");
    expect(error).toBeInstanceOf(OperationFailedError);
    expect(error.message).toBe(message);
    expect((error as OperationFailedError).hint).toContain(hint);
    expect(error.cause).toBe(cause);
  }
});

test("anything else stays what it is", () => {
  const error = systemError("EISDIR");
  expect(toFileError(error, "/x")).toBe(error);
});
