import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import type { OpenDatabase } from "../../db/database.ts";
import { listCharges } from "../../db/queries/cluster-charges.ts";
import type { Offer } from "../ports/cloud.ts";
import { costOf, ratesOf, settleCharge, totalRate } from "./charges.ts";

const HOUR = 3_600_000;
const offer: Offer = {
  cloud: "aws",
  region: "us-east-1",
  zone: null,
  instanceType: "m6i.large",
  resources: { cpus: 2, memoryGib: 8, accelerators: {} },
  useSpot: false,
  priceUsdPerHour: 0.1,
  extras: { diskUsdPerHour: 0.02, ipUsdPerHour: 0.005 },
};
const row = { cluster_hash: "h", offer: JSON.stringify(offer), num_nodes: 2 };

describe.each(databaseKinds)("on %s", (kind) => {
  let database: OpenDatabase;
  beforeEach(async () => {
    database = await openTestDatabase(kind);
  }, POSTGRES_START_MS);
  afterEach(() => database.close());

  test("nodes, disks of stopped nodes and addresses are counted in their periods, in any window", async () => {
    const { db } = database;
    await settleCharge(db, row, { state: "running", at: 0 });
    await settleCharge(db, row, { state: "running", at: HOUR });
    await settleCharge(db, row, { state: "stopped", at: 2 * HOUR });
    await settleCharge(db, { ...row, num_nodes: 3 }, { state: "running", at: 12 * HOUR });
    await settleCharge(db, row, { state: "gone", at: 13 * HOUR });
    await settleCharge(db, row, { state: "gone", at: 14 * HOUR });
    const charges = await listCharges(db, { clusterHashes: ["h"] });
    expect(
      charges.map(({ state, started_at, ended_at }) => [state, started_at / HOUR, (ended_at ?? -1) / HOUR]),
    ).toEqual([
      ["running", 0, 2],
      ["stopped", 2, 12],
      ["running", 12, 13],
    ]);
    const cost = costOf(charges, { from: 0, to: 20 * HOUR });
    expect(cost.instancesUsd).toBeCloseTo(0.1 * (2 * 2 + 3));
    expect(cost.disksUsd).toBeCloseTo(0.02 * (2 * 12 + 3));
    expect(cost.ipsUsd).toBeCloseTo(0.005 * (2 * 2 + 3));
    expect(cost.runningMs).toBe(3 * HOUR);
    expect(costOf(charges, { from: HOUR, to: 3 * HOUR }).totalUsd).toBeCloseTo(2 * 0.125 + 2 * 0.02);
    expect(await listCharges(db, { since: 12 * HOUR })).toHaveLength(1);
  });

  test.each([0, 70_000])("the charges of %i clusters can be asked for at once", async (others) => {
    const { db } = database;
    for (const cluster_hash of ["first", "last"])
      await settleCharge(db, { ...row, cluster_hash }, { state: "running", at: 0 });
    const hashes = Array.from({ length: others }, (_, index) => `other-${index}`);
    const found = await listCharges(db, { clusterHashes: others === 0 ? [] : ["first", ...hashes, "last"] });
    expect(found.map((charge) => charge.cluster_hash)).toEqual(others === 0 ? [] : ["first", "last"]);
  });

  test("two that begin a period at the same moment begin one", async () => {
    const { db } = database;
    await Promise.all([1, 2, 3].map(() => settleCharge(db, row, { state: "running", at: 0 })));
    const open = (await listCharges(db)).filter((charge) => charge.ended_at === null);
    expect(open).toHaveLength(1);
    expect(costOf(await listCharges(db), { from: 0, to: HOUR }).totalUsd).toBeCloseTo(0.25);
  });
});

test("nodes that a reservation has paid for cost their disks and addresses only", () => {
  expect(ratesOf({ ...offer, prepaidNodes: 1 }, 3)).toMatchObject({ instances: 0.2 });
  expect(ratesOf({ ...offer, prepaidNodes: 9 }, 3)).toMatchObject({ instances: 0 });
  expect(totalRate(ratesOf({ ...offer, prepaidNodes: 9 }, 1))).toBeCloseTo(0.025);
});

test("an unknown price is not taken for nothing", () => {
  const unknown = ratesOf({ ...offer, priceUsdPerHour: null }, 1);
  expect(unknown.instances).toBeNull();
  const charge = { id: 1, cluster_hash: "h", state: "running" as const, started_at: 0, ended_at: null };
  const rates = { instances_usd_per_hour: null, disks_usd_per_hour: 1, ips_usd_per_hour: 0 };
  expect(costOf([{ ...charge, ...rates }], { from: 0, to: HOUR })).toMatchObject({ totalUsd: 1, isComplete: false });
});
