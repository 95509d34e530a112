import { describe, expect, it } from "vitest";
import { choiceToValue } from "../resources/dump.ts";
import { applyOverrides, execIgnoredMessages, type TaskOverrides } from "./overrides.ts";
import { parseTaskYaml } from "./parse.ts";

function override(yaml: string, overrides: TaskOverrides): Record<string, unknown> {
  const [task] = applyOverrides(parseTaskYaml(yaml), overrides).tasks;
  return task === undefined ? {} : choiceToValue(task.resources);
}

const BASE =
  "resources: {infra: aws/us-east-1/us-east-1a, cpus: 4, memory: 8, accelerators: V100, disk_size: 100, ports: 80, priority: 3}";

describe("applyOverrides", () => {
  it.each<[TaskOverrides, Record<string, unknown>]>([
    [{ infra: "gcp" }, { infra: "gcp" }],
    [{ infra: " /K8S/ctx/ " }, { infra: "kubernetes/ctx" }],
    [{ cloud: "gcp" }, { infra: "gcp/us-east-1/us-east-1a" }],
    [{ cloud: "none" }, { infra: "*/us-east-1/us-east-1a" }],
    [{ region: "us-west-2", zone: "none" }, { infra: "aws/us-west-2" }],
    [{ zone: "*" }, { infra: "aws/us-east-1" }],
    [{ cpus: "8+" }, { cpus: "8+" }],
    [{ memory: "16GB" }, { memory: "16.0" }],
    [{ gpus: "A100:8" }, { accelerators: { A100: 8 } }],
    [{ diskSize: "1TB" }, { disk_size: 1024 }],
    [{ useSpot: false }, { use_spot: false }],
    [{ ports: ["443", "8080-8081"] }, { ports: ["443", "8080-8081"] }],
    [{ priority: "-5" }, { priority: -5 }],
    [{ imageId: "docker:x" }, { image_id: new Map([["us-east-1", "docker:x"]]) }],
    [{ jobRecovery: "failover" }, { job_recovery: { strategy: "FAILOVER" } }],
    [
      { diskTier: "HIGH", networkTier: "best", localDisk: "ssd" },
      { disk_tier: "high", network_tier: "best", local_disk: "ssd:100+" },
    ],
    [{ idleMinutesToAutostop: 5, down: true }, { autostop: { idle_minutes: 5, down: true } }],
    [{ idleMinutesToAutostop: -1 }, { autostop: false }],
  ])("%j", (flags, expected) => {
    expect(override(BASE, flags)).toMatchObject(expected);
  });

  it.each<[TaskOverrides, string]>([
    [{ gpus: "none" }, "accelerators"],
    [{ cpus: "None" }, "cpus"],
    [{ memory: "NONE" }, "memory"],
    [{ ports: ["none"] }, "ports"],
    [{ priority: "none" }, "priority"],
  ])("%j takes the value away", (flags, key) => {
    expect(Object.keys(override(BASE, flags))).not.toContain(key);
  });

  it("sets the class and clears the number for a named priority, and the reverse", () => {
    expect(override(BASE, { priority: "high" })).toMatchObject({ priority_class: "high" });
    expect(override("resources: {priority_class: low}", { priority: 7 })).toEqual({ priority: 7 });
  });

  it("replaces the field in every candidate", () => {
    expect(override("resources: {any_of: [{infra: aws}, {infra: gcp, cpus: 2}]}", { cpus: "16" })).toEqual({
      any_of: [
        { infra: "aws", cpus: "16" },
        { infra: "gcp", cpus: "16" },
      ],
    });
  });

  it("lets a container image follow the region, but no machine image", () => {
    expect(override("resources: {infra: aws/a, image_id: 'docker:x'}", { region: "b" })["image_id"]).toEqual(
      new Map([["b", "docker:x"]]),
    );
    expect(override("resources: {infra: aws/a, image_id: ami-1}", { region: "b" })["image_id"]).toEqual(
      new Map([["a", "ami-1"]]),
    );
  });

  it("changes autostop field by field; --wait-for alone does nothing", () => {
    const text = "resources: {autostop: {idle_minutes: 9, down: true, wait_for: jobs}}";
    expect(override(text, { idleMinutesToAutostop: 1 })).toEqual({
      autostop: { idle_minutes: 1, down: true, wait_for: "jobs" },
    });
    expect(override("resources: {}", { waitFor: "none" })).toEqual({});
  });

  it.each<[string, TaskOverrides, unknown]>([
    ["workdir: a", { workdir: "b" }, { kind: "dir", path: "b" }],
    ["workdir: {url: u}", { workdir: "b" }, { kind: "dir", path: "b" }],
    ["workdir: {url: u, ref: r}", { gitRef: "s" }, { kind: "git", url: "u", ref: "s" }],
    ["workdir: a", { gitUrl: "u" }, { kind: "git", url: "u" }],
    ["workdir: a", { gitRef: "s" }, { kind: "dir", path: "a" }],
  ])("%s with %j", (yaml, flags, workdir) => {
    expect(applyOverrides(parseTaskYaml(yaml), flags).tasks[0]?.workdir).toEqual(workdir);
  });

  it("replaces name and number of nodes", () => {
    const dag = applyOverrides(parseTaskYaml("name: a\nnum_nodes: 2"), { name: "b", numNodes: 4 });
    expect([dag.name, dag.tasks[0]?.name, dag.tasks[0]?.numNodes]).toEqual(["b", "b", 4]);
  });

  it("ignores resource flags for pipelines, and says so", () => {
    const told: string[] = [];
    const dag = parseTaskYaml("run: a\n---\nrun: b\n");
    const result = applyOverrides(dag, { cpus: "4", workdir: "w" }, { warn: (message) => told.push(message) });
    expect(told).toEqual([
      "WARNING: override params {'cpus': '4'} are ignored, since the yaml file contains multiple tasks.",
    ]);
    expect(result.tasks.map((task) => task.workdir)).toEqual([
      { kind: "dir", path: "w" },
      { kind: "dir", path: "w" },
    ]);
  });

  it.each<[TaskOverrides, string]>([
    [{ ports: ["none", "80"] }, 'Cannot specify both "none" and other ports.'],
    [{ priority: "1001" }, "Priority must be between -1000 and 1000. Found: 1001"],
    [{ cpus: "abc" }, 'The "cpus" field should be either a number or a string "<number>+". Found: \'abc\''],
    [{ numNodes: 0 }, "num_nodes should be a positive int. Got: 0"],
    [{ infra: "mars" }, "Invalid resources YAML: 'mars' does not match"],
  ])("refuses %j", (flags, message) => {
    expect(() => override(BASE, flags)).toThrow(message);
  });

  it("tells which flags exec ignores", () => {
    expect(execIgnoredMessages({ cpus: "4", gpus: "V100", ports: ["80"] })).toEqual([
      "Override param cpus=4 is ignored.",
      "Override param ports=80 is ignored.",
    ]);
  });
});
