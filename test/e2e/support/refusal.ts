import { expect } from "vitest";
import { plainText } from "./plain-text.ts";
import type { RunResult } from "./run-program.ts";

/** Lines of a JavaScript or Python stack trace, and what Node prints around one. */
const STACK =
  /^\s+at .*(?:\.[mc]?[jt]s:\d+:\d+|node:|<anonymous>|\(native\))|^Traceback|^Node\.js v\d+|\[object Object\]/mu;

export interface Refusal {
  readonly exitCode: number;
  /** What happened, with the value. */
  readonly message: string | RegExp;
  /** The next step. */
  readonly hint?: string | RegExp;
}

/** Expects that a command ended as a user should see it end: exit code, message, next step, and no stack trace anywhere. */
export function expectRefusal(result: RunResult, refusal: Refusal): void {
  const text = plainText(result.stdout + result.stderr);
  expect(text).not.toMatch(STACK);
  if (typeof refusal.message === "string") expect(text).toContain(refusal.message);
  else expect(text).toMatch(refusal.message);
  if (typeof refusal.hint === "string") expect(text).toContain(refusal.hint);
  else if (refusal.hint !== undefined) expect(text).toMatch(refusal.hint);
  expect(result.exitCode, text).toBe(refusal.exitCode);
}
