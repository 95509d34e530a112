import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { listCharges } from "../../db/queries/cluster-charges.ts";
import { findClusterHistory } from "../../db/queries/clusters-history.ts";
import type { ClusterRow } from "../../db/queries/clusters.ts";
import type { Clock } from "../../shared/clock.ts";
import { launchOperation } from "./launch.ts";
import { moveTo, removeCluster, type StateStore } from "./transition.ts";

describe.each(databaseKinds)("on %s", (kind) => {
  let world: FakeWorld;
  let row: ClusterRow;
  beforeEach(async () => {
    world = await createFakeWorld({}, { kind });
    await world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: "c1" });
    row = (await world.cluster("c1")) as ClusterRow;
  }, POSTGRES_START_MS);
  afterEach(() => world.close());

  /** Breaks when the time is asked for the `call`-th time, as a process may die between two writes. */
  function breaksAt(call: number): StateStore {
    let calls = 0;
    const now = (): number => {
      if (++calls === call) throw new Error("died");
      return world.clock.now();
    };
    const clock: Clock = { ...world.clock, now };
    return { db: world.database.db, clock };
  }

  async function openPeriods() {
    const charges = await listCharges(world.database.db);
    const history = await findClusterHistory(world.database.db, row.cluster_hash);
    const usage = JSON.parse(history?.usage_intervals ?? "[]") as readonly (readonly [number, number | null])[];
    return {
      charged: charges.filter((charge) => charge.ended_at === null).map((charge) => charge.state),
      used: usage.filter(([, end]) => end === null).length,
    };
  }

  test("a removal that is cut short has not happened, so that whoever repeats it also ends what the cluster costs", async () => {
    for (const call of [1, 2]) {
      await expect(removeCluster(breaksAt(call), row, "gone")).rejects.toThrow("died");
      expect((await world.cluster("c1"))?.status).toBe("UP");
    }
    expect(await openPeriods()).toEqual({ charged: ["running"], used: 1 });
    expect(await removeCluster(breaksAt(0), row, "gone")).toBe(true);
    expect(await openPeriods()).toEqual({ charged: [], used: 0 });
  });

  test("a move that is cut short has not happened", async () => {
    const move = { to: "STOPPED", phase: "ready", reason: "stopped" } as const;
    for (const call of [2, 3]) {
      await expect(moveTo(breaksAt(call), row, move)).rejects.toThrow("died");
      expect((await world.cluster("c1"))?.status).toBe("UP");
    }
    expect(await moveTo(breaksAt(0), row, move)).toBe(true);
    expect(await openPeriods()).toEqual({ charged: ["stopped"], used: 0 });
  });
});
