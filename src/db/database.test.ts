import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase } from "./database.ts";
import { toStateError } from "./errors.ts";
import { upsertUser, findUser } from "./queries/users.ts";
import { OperationFailedError } from "../shared/errors.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "database-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function openError(path: string): Promise<OperationFailedError> {
  try {
    const { close } = await openDatabase({ sqlite: path });
    await close();
  } catch (error) {
    if (error instanceof OperationFailedError) return error;
    throw error;
  }
  throw new Error("The damaged file was opened.");
}

test("a new state file is private, and its content is there after it was closed", async () => {
  const path = join(directory, "deep", "state.sqlite");
  const first = await openDatabase({ sqlite: path });
  await upsertUser(first.db, { id: "u1", name: "ann", type: "legacy", createdAt: 5 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await first.close();
  const second = await openDatabase({ sqlite: path });
  expect(await findUser(second.db, "u1")).toMatchObject({ name: "ann", created_at: 5 });
  await second.close();
});

test("a file that is no database is named, kept, and the hint says what to do", async () => {
  const path = join(directory, "state.sqlite");
  writeFileSync(path, "no database ".repeat(500));
  const error = await openError(path);
  expect(error.message).toContain(path);
  expect(error.message).toContain("damaged");
  expect(error.hint).toContain(".recover");
  expect(readFileSync(path, "utf8")).toBe("no database ".repeat(500));
});

test("a file that was cut short is refused and keeps its size", async () => {
  const path = join(directory, "state.sqlite");
  const { close } = await openDatabase({ sqlite: path });
  await close();
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(0, 5000));
  const error = await openError(path);
  expect(error.message).toContain(path);
  expect(statSync(path).size).toBe(5000);
});

test("writes that must survive a power cut sync the log, others do not", async () => {
  const { db, durably, close } = await openDatabase({ sqlite: join(directory, "state.sqlite") });
  const synchronous = async (on: typeof db): Promise<unknown> =>
    (await sql<{ synchronous: number }>`pragma synchronous`.execute(on)).rows[0]?.synchronous;
  expect(await synchronous(db)).toBe(1);
  expect(await durably(synchronous)).toBe(2);
  await expect(durably(() => Promise.reject(new Error("stop")))).rejects.toThrow("stop");
  expect(await synchronous(db)).toBe(1);
  await close();
});

test("a full disk and a read-only file get an error with a next step, others pass through", () => {
  const full = Object.assign(new Error("database or disk is full"), { errcode: 13 });
  expect(toStateError(full, "/state")).toMatchObject({
    code: "OPERATION_FAILED",
    message: expect.stringContaining("full"),
  });
  const noSpace = Object.assign(new Error("write"), { code: "ENOSPC" });
  expect(toStateError(noSpace, "/state")).toBeInstanceOf(OperationFailedError);
  const readOnly = Object.assign(new Error("attempt to write a readonly database"), { errcode: 8 });
  expect(toStateError(readOnly, "/state")).toMatchObject({ hint: expect.stringContaining("permissions") });
  const other = new Error("other");
  expect(toStateError(other, "/state")).toBe(other);
  expect(toStateError("text", "/state")).toBe("text");
});

test("a Postgres that does not answer is named by its variable, without its password", async () => {
  const url = "postgres://user:hunter2@127.0.0.1:1/none";
  const error = await openDatabase({ postgres: url }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OperationFailedError);
  expect(String(error)).toContain("SKYPILOT_DB_CONNECTION_URI");
  expect(JSON.stringify(error)).not.toContain("hunter2");
  expect(String(error)).not.toContain("hunter2");
});

test("a directory without write permission is told", async () => {
  // Root may write everywhere, so that there is nothing to see.
  if (process.getuid?.() === 0) return;
  chmodSync(directory, 0o500);
  const error = await openError(join(directory, "state.sqlite"));
  expect(error.hint).toContain("permissions");
  chmodSync(directory, 0o700);
});
