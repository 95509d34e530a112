import { expect, test } from "vitest";
import { renderStorage } from "./storage.ts";

/** The column COMMAND of a table with these commands. */
function commands(texts: readonly string[], isWhole = false): readonly string[] {
  const records = texts.map((last_use, index) => ({
    name: `b${index}`,
    launched_at: 0,
    store: ["S3"],
    last_use,
    status: "READY",
  }));
  const [, ...lines] = renderStorage(records, { isWhole, now: 0 }).split("\n");
  return lines.map((line) => /S3 +(.*?) +READY/u.exec(line)?.[1] ?? line);
}

test("a command is cut after 25 characters, in the original's way", () => {
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const whole = [letters.slice(0, 24), letters.slice(0, 25), `${letters.slice(0, 24)}é`];
  expect(commands(whole)).toEqual(whole);
  expect(commands([letters, "sky launch -c abcdefghijkl", `${letters.slice(0, 24)}😀😀`, ""])).toEqual([
    "abcdefghijklmnopqrstuvwxy...",
    "sky launch -c abcdefghijk...",
    "abcdefghijklmnopqrstuvwx😀...",
    "-",
  ]);
  expect(commands([letters], true)).toEqual([letters]);
});
