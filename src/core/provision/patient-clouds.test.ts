import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { AgentFleet } from "../../../test/fakes/agent-fleet.ts";
import { PLAIN_WISH } from "../../../test/fakes/node-wish.ts";
import { EventClock } from "../../../test/fakes/event-clock.ts";
import { FakeCloud, type FakeCloudKnobs } from "../../../test/fakes/fake-cloud.ts";
import { CloudAccessError, CloudBusyError, UnknownOutcomeError } from "../../shared/errors.ts";
import type { Cloud, CloudContext, ClusterRef, ClusterSpec, Offer } from "../ports/cloud.ts";
import { createPatientClouds } from "./patient-clouds.ts";

const context: CloudContext = { workspace: "default", config: {}, env: {}, signal: new AbortController().signal };
const ref = (name: string): ClusterRef => ({ clusterName: name, nameOnCloud: name, region: "east", zone: null });

async function open(knobs: Partial<FakeCloudKnobs> = {}) {
  const clock = new EventClock();
  const cloud = new FakeCloud({ fleet: new AgentFleet(), clock, knobs: { capacity: 1000, ...knobs } });
  const clouds = createPatientClouds({ names: () => ["fake"], load: () => Promise.resolve(cloud) }, clock);
  return { clock, cloud, patient: await clouds.load("fake") };
}

async function specOf(name: string, cloud: Cloud): Promise<ClusterSpec> {
  const { offers } = await cloud.offers(
    { numNodes: 1, accelerators: {}, useSpot: false, ports: [], diskGib: 1 },
    context,
  );
  const offer = offers[0] as Offer;
  return {
    clusterName: name,
    nameOnCloud: name,
    numNodes: 1,
    offer,
    create: [0],
    start: [],
    perNode: offer.resources,
    ports: [],
    labels: {},
    node: PLAIN_WISH,
  };
}

describe("throttling", () => {
  test("200 launches at 5 calls a second all come up, with few calls more than they need", async () => {
    const { clock, cloud, patient } = await open({ settings: { calls_per_second: 5, running_after: 3 } });
    const launchOne = async (name: string): Promise<void> => {
      await patient.run(await specOf(name, cloud), name, context);
      for (;;) {
        const [node] = await patient.query(ref(name), context);
        if (node?.state === "running") return;
        await clock.sleep(250);
      }
    };
    const names = Array.from({ length: 200 }, (_, index) => `c${index}`);
    const startedAt = clock.now();
    await clock.runUntil(Promise.all(names.map(launchOne)));
    const seconds = (clock.now() - startedAt) / 1000;
    expect(cloud.created).toBe(200);
    // One by one, the looks alone would be 200 × 12 calls; 430 calls in 123 seconds were measured.
    expect(cloud.calls.run + cloud.calls.query).toBeLessThan(520);
    expect(seconds).toBeLessThan(160);
  });

  test("a look does not wait behind the changes of others", async () => {
    const { clock, cloud, patient } = await open({ settings: { calls_per_second: 5 } });
    const storm = Promise.all(
      Array.from({ length: 100 }, async (_, i) => patient.run(await specOf(`c${i}`, cloud), `t${i}`, context)),
    );
    storm.catch(() => undefined);
    await clock.runUntil(clock.sleep(5000));
    const before = clock.now();
    await clock.runUntil(patient.query(ref("other"), context));
    expect(clock.now() - before).toBeLessThan(3000);
    await clock.runUntil(storm);
    expect(cloud.created).toBe(100);
  });

  test("ends in the cloud's own words when the cloud never lets a call through", async () => {
    const { clock, patient } = await open({
      failBefore: { query: Array.from({ length: 10_000 }, () => new CloudBusyError("Rate exceeded.")) },
    });
    await expect(clock.runUntil(patient.query(ref("a"), context))).rejects.toThrow("Rate exceeded.");
  });
});

test("questions that come meanwhile share the next call", async () => {
  const { clock, cloud, patient } = await open();
  await clock.runUntil(Promise.all(Array.from({ length: 50 }, (_, index) => patient.query(ref(`c${index}`), context))));
  expect(cloud.calls.query).toBeLessThanOrEqual(2);
});

test("one who leaves does not end the question of the others", async () => {
  const { clock, cloud, patient } = await open();
  await cloud.run(await specOf("a", cloud), "t", context);
  const leaver = new AbortController();
  const left = patient.query(ref("b"), { ...context, signal: leaver.signal });
  const stays = patient.query(ref("a"), context);
  leaver.abort(new Error("cancelled"));
  await expect(left).rejects.toThrow("cancelled");
  expect(await clock.runUntil(stays)).toHaveLength(1);
});

test("a signal that lives as long as the server keeps nothing of the questions that were answered", async () => {
  const { clock, patient } = await open();
  const { signal } = new AbortController();
  for (let look = 0; look < 3; look++) await clock.runUntil(patient.query(ref("a"), { ...context, signal }));
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("one who has left already is not left waiting", async () => {
  const { cloud, patient } = await open();
  const signal = AbortSignal.abort(new Error("cancelled"));
  await expect(patient.query(ref("a"), { ...context, signal })).rejects.toThrow("cancelled");
  expect(cloud.calls.query).toBe(0);
});

describe("a lost answer", () => {
  test("of a change is asked for again", async () => {
    const { clock, cloud, patient } = await open({ failAfter: { terminate: [new UnknownOutcomeError("lost")] } });
    await cloud.run(await specOf("a", cloud), "t", context);
    await clock.runUntil(patient.terminate(ref("a"), context));
    expect(cloud.ledger()).toEqual({});
    expect(cloud.calls.terminate).toBe(2);
  });

  test("of a creation is for the one who has the token", async () => {
    const { clock, cloud, patient } = await open({ failAfter: { run: [new UnknownOutcomeError("lost")] } });
    await expect(clock.runUntil(patient.run(await specOf("a", cloud), "t", context))).rejects.toThrow("lost");
    expect(cloud.calls.run).toBe(1);
  });
});

test("what the cloud denies is not asked for again", async () => {
  const { clock, cloud, patient } = await open({ failBefore: { query: [new CloudAccessError("No.")] } });
  await expect(clock.runUntil(patient.query(ref("a"), context))).rejects.toThrow("No.");
  expect(cloud.calls.query).toBe(1);
});
