import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe } from "vitest";
import { FakeCloud } from "../../src/clouds/fake/index.ts";
import { createLocalCloud } from "../../src/clouds/local/index.ts";
import type { OfferRequest } from "../../src/core/ports/cloud.ts";
import { AgentFleet } from "../fakes/agent-fleet.ts";
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
  const open = (knobs: object) => () => {
    const fleet = new AgentFleet();
    const cloud = new FakeCloud({ knobs: { capacity: 4, ...knobs }, runner: (instance) => fleet.runner(instance) });
    return Promise.resolve({ cloud, request: request(1), crowd: 4, impossible: request(5) });
  };
  describe("as it is", () => {
    cloudContract(open({}));
  });
  describe("eventually consistent", () => {
    cloudContract(open({ queriesUntilVisible: 2, queriesUntilRunning: 3 }));
  });
});
