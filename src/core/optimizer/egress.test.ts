import { expect, test } from "vitest";
import { cloudOfUri, egressSeconds, egressUsd } from "./egress.ts";

test.each([
  ["aws", 0, 0],
  ["aws", 1, 0],
  ["aws", 100, 8.91],
  ["aws", 10_240, 921.51],
  // Each gigabyte above a boundary has the price of its own tier, and those below keep theirs.
  ["aws", 11_264, 1008.55],
  ["aws", 200_000, 921.51 + 40_960 * 0.085 + 102_400 * 0.07 + 46_400 * 0.05],
  ["azure", 11_264, 10_239 * 0.0875 + 1024 * 0.083],
  ["gcp", 1000, 120],
  ["gcp", 2000, 220],
  ["gcp", 20_000, 1600],
  ["ibm", 40, 3.6],
  ["ibm", 1000, 50 * 0.09 + 100 * 0.07 + 850 * 0.05],
  ["oci", 10_240, 0],
  ["oci", 11_240, 8.5],
  ["kubernetes", 1000, 0],
  ["cloudflare", 1000, 0],
])("%s: %d GB cost $%d", (cloud, gigabytes, usd) => {
  expect(egressUsd(cloud, gigabytes)).toBeCloseTo(usd, 6);
});

test("more data never costs less", () => {
  for (const cloud of ["aws", "azure", "ibm", "oci"]) {
    const prices = Array.from({ length: 2000 }, (_, step) => egressUsd(cloud, step * 100));
    expect(prices.every((price, at) => at === 0 || price >= (prices[at - 1] ?? 0))).toBe(true);
  }
});

test("time is counted at 10 Gbit/s", () => {
  expect(egressSeconds(1000)).toBe(800);
  expect(egressSeconds(-1)).toBe(0);
});

test.each([
  ["s3://bucket/path", "aws"],
  ["gs://bucket", "gcp"],
  ["https://account.blob.core.windows.net/container", "azure"],
  ["r2://bucket/path", "cloudflare"],
  ["https://example.com/data", undefined],
  ["CLOUD", undefined],
])("%s is in %s", (uri, cloud) => {
  expect(cloudOfUri(uri)).toBe(cloud);
});
