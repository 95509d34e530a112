import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { patientDeadline } from "./patient-deadline.ts";

/** Keeps the process from running. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("a deadline comes, and not when it was cancelled", async () => {
  const [short, cancelled] = [patientDeadline(50), patientDeadline(50)];
  cancelled.cancel();
  await expect.poll(() => short.signal.aborted, { timeout: 5000 }).toBe(true);
  expect(short.signal.reason).toMatchObject({ name: "TimeoutError" });
  expect(cancelled.signal.aborted).toBe(false);
});

test("time in which the process could not run does not count", async () => {
  const deadline = patientDeadline(1000);
  block(1500);
  await sleep(1);
  expect(deadline.signal.aborted).toBe(false);
  deadline.cancel();
});
