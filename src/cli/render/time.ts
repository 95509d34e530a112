const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 365 * DAY;

const RELATIVE: readonly (readonly [number, string])[] = [
  [YEAR, "year"],
  [MONTH, "month"],
  [WEEK, "week"],
  [DAY, "day"],
  [HOUR, "hr"],
  [MINUTE, "min"],
  [1, "sec"],
];

/** How long ago, in one unit: `5 secs ago`, `1 hr ago`. Times are epoch seconds; `-` when there is none. */
export function renderAgo(at: number | null | undefined, now: number): string {
  if (at === null || at === undefined || at <= 0) return "-";
  const seconds = now - at;
  for (const [size, unit] of RELATIVE) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }
  return "< 1 sec";
}

/** `2026-11-29 18:05 UTC`; `at` is in epoch seconds. */
export function renderUtc(at: number): string {
  return `${new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const ABSOLUTE: readonly (readonly [number, string])[] = [
  [YEAR, "y"],
  [MONTH, "mo"],
  [WEEK, "w"],
  [DAY, "d"],
  [HOUR, "h"],
  [MINUTE, "m"],
  [1, "s"],
];

/** A duration with all its units: `2h 1m 40s`; `-` when it is not known. */
export function renderDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || seconds < 0) return "-";
  let rest = Math.floor(seconds);
  if (rest < 1) return "< 1s";
  const parts: string[] = [];
  for (const [size, unit] of ABSOLUTE) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.join(" ");
}

/** The time between two moments of a job; a job that runs is measured until now. */
export function durationBetween(start: number | null | undefined, end: number | null | undefined, now: number): string {
  if (start === null || start === undefined || start <= 0) return "-";
  return renderDuration((end ?? now) - start);
}
