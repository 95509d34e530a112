import { expect, test } from "vitest";
import type { Offer } from "../ports/cloud.ts";
import { blockOf, type BlockedPlace } from "./blocked.ts";

const offer: Offer = {
  cloud: "aws",
  region: "us-east-1",
  zone: "us-east-1a",
  instanceType: "g4dn.xlarge",
  resources: { cpus: 4, memoryGib: 16, accelerators: { T4: 1 } },
  useSpot: true,
  priceUsdPerHour: 0.2,
};

test.each<[string, Omit<BlockedPlace, "reason">, boolean]>([
  ["an empty pattern", {}, true],
  ["the cloud", { cloud: "aws" }, true],
  ["another region", { cloud: "aws", region: "us-east-2" }, false],
  ["the zone", { zone: "us-east-1a" }, true],
  ["the type on demand", { instanceType: "g4dn.xlarge", useSpot: false }, false],
  ["the accelerator", { accelerators: { T4: 1 } }, true],
  ["another count of it", { accelerators: { T4: 4 } }, false],
  ["no accelerator", { accelerators: {} }, false],
])("a pattern of %s", (_, place, isBlocked) => {
  expect(blockOf(offer, [{ ...place, reason: "full" }])?.reason).toBe(isBlocked ? "full" : undefined);
});

test("a zone that is blocked leaves an offer of the whole region", () => {
  expect(blockOf({ ...offer, zone: null }, [{ zone: "us-east-1a", reason: "full" }])).toBeUndefined();
});
