import { expect, test } from "vitest";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import { LinkPace } from "./link-pace.ts";

const MIB = 1024 * 1024;

test("a link is slow until it is seen to be fast, and again when it gets slow", () => {
  const clock = new FakeClock();
  const pace = new LinkPace(clock);
  const send = (mibPerSecond: number): boolean => {
    clock.advance(4000 / mibPerSecond);
    return pace.isSlow(4 * MIB);
  };
  expect(pace.isSlow(MIB)).toBe(true);
  expect(send(100)).toBe(false);
  expect(pace.isSlow(MIB)).toBe(false);
  expect(send(10)).toBe(true);
  expect(send(200)).toBe(false);
});
