import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe } from "vitest";
import { createFakeCloud } from "../../src/clouds/fake/index.ts";
import { createLocalCloud } from "../../src/clouds/local/index.ts";
import type { OfferRequest } from "../../src/core/ports/cloud.ts";
import { AgentFleet } from "../fakes/agent-fleet.ts";
import { FakeCloud, type FakeCloudKnobs } from "../fakes/fake-cloud.ts";
import { cloudContract } from "./cloud.contract.ts";

const homes: string[] = [];

afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true });
});

function request(cpus: number): OfferRequest {
  return {
    numNodes: 1,
    cpus: { count: cpus, orMore: true },
    accelerators: {},
    useSpot: false,
    ports: [],
    diskGib: 256,
  };
}

describe("local", () => {
  cloudContract(() => {
    const home = mkdtempSync(join(tmpdir(), "local-cloud-"));
    homes.push(home);
    const machine = { cpus: 4, memoryGib: 8, gpus: [], bootId: "b1", hasLoopbackNet: true };
    const cloud = createLocalCloud({ home, env: {}, probe: () => Promise.resolve(machine) });
    return Promise.resolve({ cloud, request: request(1), crowd: 4, impossible: request(5) });
  });
});

describe("fake", () => {
  const open = (knobs: Partial<FakeCloudKnobs>) => () => {
    let now = 0;
    // Time passes with every look at it.
    const clock = { now: () => (now += 50), sleep: () => Promise.resolve() };
    const cloud = new FakeCloud({ knobs: { capacity: 4, ...knobs }, fleet: new AgentFleet(), clock });
    return Promise.resolve({ cloud, request: request(1), crowd: 4, impossible: request(5) });
  };
  describe("as it is", () => {
    cloudContract(open({}));
  });
  describe("eventually consistent", () => {
    cloudContract(open({ settings: { visible_after: 1, running_after: 2 } }));
  });
  describe("on this machine", () => {
    cloudContract(() => {
      const home = mkdtempSync(join(tmpdir(), "fake-cloud-"));
      homes.push(home);
      mkdirSync(join(home, ".sky"));
      writeFileSync(join(home, ".sky", "fake.yaml"), "default_capacity: 4\n");
      const cloud = createFakeCloud({ home, env: {} });
      return Promise.resolve({ cloud, request: request(1), crowd: 4, impossible: request(99) });
    });
  });
});
