import { expect, test } from "vitest";
import type { Instance, InstanceState } from "../ports/cloud.ts";
import { planNodes } from "./node-plan.ts";

function instance(id: string, index: number, state: InstanceState, createdAtMs?: number): Instance {
  return {
    ...(createdAtMs === undefined ? {} : { createdAtMs }),
    id,
    index,
    state,
    internalIp: "10.0.0.1",
    externalIp: null,
    sshPort: 22,
    agentRoot: "/a",
    installDir: "/i",
    home: "/h",
    resources: { cpus: 1, memoryGib: 1, accelerators: {} },
  };
}

test.each([
  ["a new cluster", [], 2, { create: [0, 1], start: [], keep: [], surplus: [], gone: [] }],
  [
    "a stopped cluster",
    [instance("a", 0, "stopped"), instance("b", 1, "stopping")],
    2,
    { create: [], start: ["a", "b"], keep: [], surplus: [], gone: [] },
  ],
  [
    "a half-made cluster",
    [instance("a", 0, "running"), instance("b", 1, "terminated"), instance("c", 2, "pending")],
    4,
    { create: [1, 3], start: [], keep: ["a", "c"], surplus: [], gone: ["b"] },
  ],
  [
    "a cluster that is made smaller",
    [instance("a", 0, "running"), instance("b", 1, "running")],
    1,
    { create: [], start: [], keep: ["a"], surplus: ["b"], gone: [] },
  ],
  [
    "two instances of one index: the one that runs stays",
    [instance("a", 0, "stopped"), instance("b", 0, "running")],
    1,
    { create: [], start: [], keep: ["b"], surplus: ["a"], gone: [] },
  ],
  [
    "a copy that somebody made of a node: the first stays, though it is stopped",
    [instance("a", 0, "running", 2000), instance("b", 0, "stopped", 1000), instance("c", 0, "running", 3000)],
    1,
    { create: [], start: ["b"], keep: [], surplus: ["a", "c"], gone: [] },
  ],
] as const)("%s", (_, seen, numNodes, plan) => {
  expect(planNodes(seen, numNodes)).toEqual(plan);
});
