import type { FakeSettings } from "../../../src/clouds/fake/settings.ts";
import { launchOperation } from "../../../src/core/clusters/launch.ts";
import { startOperation } from "../../../src/core/clusters/start.ts";
import { downOperation, stopOperation } from "../../../src/core/clusters/stop.ts";
import type { Operation } from "../../../src/core/operation.ts";
import { taskYaml, type FakeWorld } from "../../fakes/fake-world.ts";
import type { TestContextOptions } from "../../fakes/operation-context.ts";

/** One request of a scenario. */
export interface Step {
  readonly requestId: string;
  readonly run: (world: FakeWorld, options: TestContextOptions) => Promise<unknown>;
  /** A server that died in it goes on with it; otherwise it was cancelled meanwhile, and the next step follows. */
  readonly isResumed: boolean;
  /** Class of the error that it ends with. */
  readonly fails?: string;
  /** Class of an error that it may end with. */
  readonly mayFail?: string;
}

export interface Scenario {
  readonly settings: Partial<FakeSettings>;
  /** What happens before anything may die. */
  readonly before: readonly Step[];
  /** Settings that hold from here on. */
  readonly later?: Partial<FakeSettings>;
  readonly steps: readonly Step[];
  /** The code with which AWS refuses every launch. */
  readonly refusal?: string;
  /** The cluster in the end. */
  readonly ends: "UP" | "STOPPED" | "gone";
  /** Zone in which it is in the end, where that is certain. */
  readonly zone?: string;
  /** Jobs that the nodes have got. */
  readonly jobs: number;
  /** Nodes that were up belong to the user: no step may end one. */
  readonly keepsDisks?: boolean;
}

export function step<Body, Result>(
  requestId: string,
  operation: Operation<Body, Result>,
  body: Body,
  more: Partial<Pick<Step, "fails" | "mayFail" | "isResumed">> = {},
): Step {
  return {
    requestId,
    run: async (world, options) => (await world.run(operation, body, { ...options, requestId })).result,
    isResumed: true,
    ...more,
  };
}

const NODES = 3;
const zones = { east: ["east-a", "east-b", "east-c"], west: ["west-a"] };
const slow = { regions: zones, visible_after: 4, running_after: 6 };
const task = taskYaml(`num_nodes: ${NODES}\nrun: echo hi`);
const name = { cluster_name: "c1" };

const launch = (requestId: string, more: Parameters<typeof step>[3] = {}): Step =>
  step(requestId, launchOperation, { task, ...name }, more);
const stop = step("stop", stopOperation, name);

/** What is done to clusters, under the weather of real clouds. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  "launch; only the third zone has room": {
    settings: { ...slow, capacity: { "east-a": 0, "east-b": 2, "east-c": 9, "west-a": 0 } },
    before: [],
    steps: [launch("r")],
    ends: "UP",
    zone: "east-c",
    jobs: 1,
  },
  "launch; two of three nodes come up in the first zone, one in the second": {
    settings: { ...slow, gang: false, capacity: { "east-a": 2, "east-b": 1, "east-c": 9, "west-a": 0 } },
    before: [],
    steps: [launch("r")],
    ends: "UP",
    zone: "east-c",
    jobs: 1,
  },
  "launch; every second answer is lost": {
    settings: { ...slow, lose_every: 2, capacity: { "east-a": 9 } },
    before: [],
    steps: [launch("r")],
    ends: "UP",
    zone: "east-a",
    jobs: 1,
  },
  "launch; no quota in the cheap region": {
    settings: { ...slow, quotas: { "east/standard": 8 }, capacity: { "west-a": 9 } },
    before: [],
    steps: [launch("r")],
    ends: "UP",
    zone: "west-a",
    jobs: 1,
  },
  "launch; no room anywhere": {
    settings: { ...slow, gang: false, capacity: { "east-a": 1, "east-b": 2, "east-c": 0, "west-a": 2 } },
    before: [],
    steps: [launch("r", { fails: "ResourcesUnavailableError" })],
    ends: "gone",
    jobs: 0,
  },
  "launch that is cancelled, then down": {
    settings: { ...slow, capacity: { "east-a": 0, "east-b": 9 } },
    before: [],
    steps: [
      launch("first", { isResumed: false }),
      // The launch may have been cancelled before it wrote its row.
      step("r", downOperation, name, { mayFail: "ClusterDoesNotExistError" }),
    ],
    ends: "gone",
    jobs: 1,
  },
  "launch that is cancelled, then launch again": {
    settings: { ...slow, capacity: { "east-a": 9 } },
    before: [],
    steps: [launch("first", { isResumed: false }), launch("r")],
    ends: "UP",
    jobs: 2,
  },
  "stop; every second answer is lost": {
    settings: { ...slow, lose_every: 2 },
    before: [launch("first")],
    steps: [stop],
    ends: "STOPPED",
    jobs: 1,
    keepsDisks: true,
  },
  "start; every second answer is lost": {
    settings: { ...slow, lose_every: 2 },
    before: [launch("first"), stop],
    steps: [step("r", startOperation, name)],
    ends: "UP",
    jobs: 1,
    keepsDisks: true,
  },
  "start; the zone is full": {
    settings: slow,
    before: [launch("first"), stop],
    later: { ...slow, default_capacity: 0 },
    steps: [step("r", startOperation, name, { fails: "ResourcesUnavailableError" })],
    ends: "STOPPED",
    jobs: 1,
    keepsDisks: true,
  },
  down: {
    settings: { ...slow, lose_every: 3 },
    before: [launch("first")],
    steps: [step("r", downOperation, name)],
    ends: "gone",
    jobs: 1,
  },
};
