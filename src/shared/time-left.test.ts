import { expect, test } from "vitest";
import { renderTimeLeft } from "./time-left.ts";

test.each([
  [7 * 3_600_000 + 32 * 60_000 + 59_999, "7h32m"],
  [3_600_000, "1h0m"],
  [12 * 60_000, "12m"],
  [45_900, "45s"],
  [-5, "0s"],
])("%d ms are %s", (ms, text) => {
  expect(renderTimeLeft(ms)).toBe(text);
});
