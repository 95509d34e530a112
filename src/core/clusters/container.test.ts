import { expect, test } from "vitest";
import { splitOptions } from "./container.ts";

test.each([
  ["--privileged", ["--privileged"]],
  ["-v /a:/b  -e X=1", ["-v", "/a:/b", "-e", "X=1"]],
  [`-e "A=b c" --label='x "y"' -e Z="1 2"3`, ["-e", "A=b c", '--label=x "y"', "-e", "Z=1 23"]],
  ["", []],
])("%j is split as a shell would", (text, words) => {
  expect(splitOptions(text)).toEqual(words);
});
