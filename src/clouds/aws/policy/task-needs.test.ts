import { expect, it } from "vitest";
import { needsOf, usesSsm } from "./task-needs.ts";

it("an empty task needs a launch and nothing else", () => {
  expect(needsOf([{}], {})).toEqual({
    features: ["launch"],
    capabilities: ["launch", "stop-start", "terminate"],
    buckets: [],
    region: undefined,
  });
});

it.each([
  ["spot", { resources: { use_spot: true } }],
  ["spot", { resources: { any_of: [{ use_spot: false }, { use_spot: true }] } }],
  ["ports", { resources: { ports: 8080 } }],
  ["ports", { resources: { ordered: [{ ports: ["8080-8090"] }] } }],
  ["ports", { service: { readiness_probe: "/" } }],
  ["efa", { resources: { network_tier: "best" } }],
  ["ecr", { resources: { image_id: "docker:123456789012.dkr.ecr.us-east-1.amazonaws.com/team/little:2" } }],
  [
    "ecr",
    {
      resources: {
        any_of: [{ image_id: { "us-east-1": `docker:${"1".repeat(12)}.dkr.ecr.us-east-1.amazonaws.com/a` } }],
      },
    },
  ],
  ["s3", { file_mounts: { "/data": "s3://bucket/prefix" } }],
  ["buckets", { file_mounts: { "/out": { name: "results", store: "s3" } } }],
  ["buckets", { file_mounts: { "/out": { name: "results", mode: "MOUNT" } } }],
] as const)("%s is needed by %j", (feature, task) => {
  expect(needsOf([task], {}).features).toContain(feature);
});

it.each([
  [{ resources: { ports: [] } }],
  [{ resources: { image_id: "docker:public.ecr.aws/docker/library/ubuntu" } }],
  [{ resources: { image_id: "ami-0123456789abcdef0" } }],
  [{ file_mounts: { "/data": "./local", "/g": "gs://bucket" } }],
  [{ file_mounts: { "/out": { name: "results", store: "gcs" } } }],
  [{ resources: "not a mapping", file_mounts: 7 }],
])("nothing more is needed by %j", (task) => {
  expect(needsOf([task], {}).features).toEqual(["launch"]);
});

it("finds buckets that exist, not those that will be made, and the region", () => {
  const task = {
    resources: { infra: "aws/eu-west-1/eu-west-1a" },
    file_mounts: { "/a": "s3://one", "/b": { source: "s3://two/x", mode: "MOUNT" }, "/c": { name: "three" } },
  };
  expect(needsOf([task, task], {})).toMatchObject({ buckets: ["one", "two"], region: "eu-west-1" });
  expect(needsOf([{ resources: { infra: "aws/*/eu-west-1a" } }], {}).region).toBeUndefined();
  expect(needsOf([{ resources: { infra: "gcp/us-central1" } }], {}).region).toBeUndefined();
});

it("reads Session Manager and VPCs from the config", () => {
  expect(needsOf([{}], { use_ssm: true, vpc_names: ["a"] })).toMatchObject({ features: ["launch", "ssm"] });
  expect(needsOf([{}], { vpc_names: ["a"] }).capabilities).toContain("vpc");
  expect(usesSsm({ use_internal_ips: true })).toBe(true);
  expect(usesSsm({ use_internal_ips: true, ssh_proxy_command: "ssh -W %h:%p jump" })).toBe(false);
  expect(usesSsm({ use_internal_ips: true, use_ssm: false })).toBe(false);
});
