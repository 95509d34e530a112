import { launchOperation } from "../../../src/core/clusters/launch.ts";
import { startOperation } from "../../../src/core/clusters/start.ts";
import { downOperation, stopOperation } from "../../../src/core/clusters/stop.ts";
import { autostopOperation } from "../../../src/core/clusters/autostop.ts";
import { taskYaml } from "../../fakes/fake-world.ts";
import { step, type Scenario, type Step } from "./scenarios.ts";

const config = { aws: { ssh_allowed_cidrs: ["203.0.113.7/32"] } };
const name = { cluster_name: "c1" };
const task = taskYaml("num_nodes: 2\nrun: echo hi", "infra: aws/us-east-1\ncpus: 2\nports: 8080");

/** With the user's settings. */
function configured(plain: Step): Step {
  return { ...plain, run: (world, options) => plain.run(world, { ...options, config }) };
}

const launch = (requestId: string): Step => configured(step(requestId, launchOperation, { task, ...name }));
const stop = configured(step("stop", stopOperation, name));

/** What is done to clusters of two nodes with a security group of their own. */
export const awsScenarios: Readonly<Record<string, Scenario>> = {
  launch: { settings: {}, before: [], steps: [launch("r")], ends: "UP", jobs: 1 },
  "launch; no room in any zone": {
    settings: {},
    before: [],
    refusal: "InsufficientInstanceCapacity",
    steps: [configured(step("r", launchOperation, { task, ...name }, { fails: "ResourcesUnavailableError" }))],
    ends: "gone",
    jobs: 0,
  },
  stop: { settings: {}, before: [launch("first")], steps: [stop], ends: "STOPPED", jobs: 1, keepsDisks: true },
  start: {
    settings: {},
    before: [launch("first"), stop],
    steps: [configured(step("r", startOperation, name))],
    ends: "UP",
    jobs: 1,
    keepsDisks: true,
  },
  down: {
    settings: {},
    before: [launch("first")],
    steps: [configured(step("r", downOperation, name))],
    ends: "gone",
    jobs: 1,
  },
  "autostop of nodes that were to end": {
    settings: {},
    before: [configured(step("first", launchOperation, { task, ...name, idle_minutes_to_autostop: 60, down: true }))],
    steps: [configured(step("r", autostopOperation, { ...name, idle_minutes: 60, down: false, wait_for: "jobs" }))],
    ends: "UP",
    jobs: 1,
    keepsDisks: true,
  },
};
