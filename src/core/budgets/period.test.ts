import { expect, test } from "vitest";
import { periodAt } from "./period.ts";

const at = (text: string): number => Date.parse(text);

test.each([
  ["day", "2026-11-22T13:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"],
  // A Sunday, and the Monday after it.
  ["week", "2026-11-22T13:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"],
  ["week", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"],
  ["month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
] as const)("a %s around %s", (period, now, from, to) => {
  expect(periodAt(period, at(now))).toEqual({ from: at(from), to: at(to) });
});

test("a budget in total has no end", () => {
  expect(periodAt("total", at("2026-11-22T13:00:00Z"))).toEqual({ from: 0, to: Infinity });
});
