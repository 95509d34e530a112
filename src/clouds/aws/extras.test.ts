import { expect, test } from "vitest";
import type { OfferRequest } from "../../core/ports/cloud.ts";
import { extrasOf } from "./extras.ts";

const request: OfferRequest = { numNodes: 1, accelerators: {}, useSpot: false, ports: [], diskGib: 365 };
const diskPrice = { perGb: 0.08, perIops: 0.005, perMibps: 0.04 };

test.each([
  // 365 GB, 500 IOPS and 93 MiB/s beyond what is in the price; then 4,000 and 312.
  ["where prices are known", {}, { diskPrice }, { diskUsdPerHour: 35.42 / 730, ipUsdPerHour: 0.005 }],
  ["on a faster disk", { diskTier: "high" }, { diskPrice }, { diskUsdPerHour: 61.68 / 730, ipUsdPerHour: 0.005 }],
  ["on a disk of other prices", { diskTier: "ultra" }, { diskPrice }, { diskUsdPerHour: null, ipUsdPerHour: 0.005 }],
  ["where they are not", {}, { diskPrice: undefined }, { diskUsdPerHour: null, ipUsdPerHour: 0.005 }],
  [
    "without a public address",
    {},
    { diskPrice, config: { aws: { use_internal_ips: true } } },
    { diskUsdPerHour: 35.42 / 730, ipUsdPerHour: 0 },
  ],
])("a node %s", (_, wish, place, { diskUsdPerHour, ipUsdPerHour }) => {
  const extras = extrasOf({ ...request, ...wish }, { config: {}, ...place });
  if (diskUsdPerHour === null) expect(extras.diskUsdPerHour).toBeNull();
  else expect(extras.diskUsdPerHour).toBeCloseTo(diskUsdPerHour, 9);
  expect(extras.ipUsdPerHour).toBe(ipUsdPerHour);
});
