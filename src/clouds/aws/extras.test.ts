import { expect, test } from "vitest";
import type { OfferRequest } from "../../core/ports/cloud.ts";
import { extrasOf } from "./extras.ts";

const request: OfferRequest = { numNodes: 1, accelerators: {}, useSpot: false, ports: [], diskGib: 365 };

test.each([
  ["us-east-1", {}, {}, { diskUsdPerHour: 0.04, ipUsdPerHour: 0.005 }],
  ["us-east-1", { diskTier: "ultra" }, {}, { diskUsdPerHour: null, ipUsdPerHour: 0.005 }],
  ["eu-west-1", {}, {}, { diskUsdPerHour: null, ipUsdPerHour: 0.005 }],
  ["us-west-2", {}, { aws: { use_internal_ips: true } }, { diskUsdPerHour: 0.04, ipUsdPerHour: 0 }],
])("a node in %s with %j and config %j", (region, wish, config, extras) => {
  expect(extrasOf({ ...request, ...wish }, { region, config })).toEqual(extras);
});
