import * as fc from "fast-check";
import { expect, test } from "vitest";
import { resolveDestination } from "../../agent/sync/dest.ts";
import { pathBelow, placeOnNode } from "./place-on-node.ts";

const HOME = "/home/me";

test.each([
  ["~", "~"],
  ["~/", "~"],
  ["~/a//b/./c/../d/", "~/a/b/d"],
  ["data", "~/sky_workdir/data"],
  ["./data/", "~/sky_workdir/data"],
  ["~data", "~/sky_workdir/~data"],
  ["/tmp/x", "/tmp/x"],
  ["/tmp/../data", "~/.sky/file_mounts/data"],
  ["/data", "~/.sky/file_mounts/data"],
  ["/home/me", "~"],
  ["/home/me/../me/x", "~/x"],
  ["/home/mee", "~/.sky/file_mounts/home/mee"],
])("%s is %s", (destination, place) => {
  expect(placeOnNode(destination, HOME)).toBe(place);
});

test("HOME by its own path is outside where nobody knows it", () => {
  expect(placeOnNode("/home/me/x")).toBe("~/.sky/file_mounts/home/me/x");
});

test.each([
  ["~/m", "~/m", ""],
  ["~/m/a/b", "~/m", "a/b"],
  ["~/mm", "~/m", undefined],
  ["~", "~/m", undefined],
  ["~/m", "~", "m"],
])("%s below %s: %s", (place, folder, rest) => {
  expect(pathBelow(place, folder)).toBe(rest);
});

const part = fc.constantFrom("a", "b", "..", ".", "", "tmp", "home", "me", "sky_workdir", ".sky", "file_mounts");
const destination = fc
  .tuple(fc.constantFrom("~/", "/", "", "/tmp/", "/home/me/"), fc.array(part, { maxLength: 6 }))
  .map(([start, parts]) => start + parts.join("/"));

/** Undefined: agents refuse it. */
function resolved(dest: string): string | undefined {
  try {
    return resolveDestination(dest, HOME).path;
  } catch {
    return undefined;
  }
}

test("two destinations are the same place where agents put them at the same path", () => {
  fc.assert(
    fc.property(destination, destination, (one, other) => {
      const paths = [resolved(one), resolved(other)];
      fc.pre(!paths.includes(undefined));
      const places = [placeOnNode(one, HOME), placeOnNode(other, HOME)];
      expect(places[0] === places[1]).toBe(paths[0] === paths[1]);
    }),
    { numRuns: 2000 },
  );
});
