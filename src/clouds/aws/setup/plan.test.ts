import { expect, it } from "vitest";
import { buildPolicy } from "../policy/document.ts";
import { planSetup, renderStep, type AccountState, type SetupWish } from "./plan.ts";

const WISH: SetupWish = { account: "123456789012", features: ["launch", "s3"], regions: [], isTagScoped: false };
const EMPTY: AccountState = {
  role: undefined,
  nodePolicy: undefined,
  attachedPolicies: [],
  profile: undefined,
  userPolicy: undefined,
};
const COMPLETE: AccountState = {
  role: { trustsEc2: true },
  nodePolicy: buildPolicy({ ...WISH, tier: "node" }),
  attachedPolicies: [],
  profile: { roles: ["skypilot-v1"] },
  userPolicy: buildPolicy({ ...WISH, tier: "user" }),
};

it("an empty account gets role, profile and policies, in an order that works", () => {
  const { steps, done, warnings } = planSetup(EMPTY, { ...WISH, features: ["launch", "ssm"] });
  expect(steps.map(renderStep)).toMatchInlineSnapshot(`
    [
      "create the role skypilot-v1, which only EC2 may take",
      "write the inline policy SkyPilotNodePolicy of the role skypilot-v1 (Read, RunFromAnyImage, Run, Lifecycle, Tag, SecurityGroups, UseRole, UseProfile, Ports, S3Objects, S3Buckets, S3List)",
      "attach AmazonSSMManagedInstanceCore to the role skypilot-v1",
      "create the instance profile skypilot-v1",
      "put the role skypilot-v1 into the instance profile skypilot-v1",
      "create the policy skypilot-user for users (Read, RunFromAnyImage, Run, Lifecycle, Tag, SecurityGroups, UseRole, UseProfile, Ssm, SsmSessions, SsmLook, SsmRole)",
    ]
  `);
  expect({ done, warnings }).toEqual({ done: [], warnings: [] });
});

it("an account that has everything gets nothing", () => {
  expect(planSetup(COMPLETE, WISH).steps).toEqual([]);
  expect(planSetup(COMPLETE, WISH).done).toHaveLength(4);
});

it("other wishes make new versions of the policies", () => {
  const kinds = planSetup(COMPLETE, { ...WISH, regions: ["us-east-1"] }).steps.map((step) => step.kind);
  expect(kinds).toEqual(["put-role-policy", "update-policy"]);
});

it("goes on where a set-up was broken off", () => {
  const state = { ...COMPLETE, nodePolicy: undefined, profile: { roles: [] } };
  expect(planSetup(state, WISH).steps.map((step) => step.kind)).toEqual(["put-role-policy", "add-role"]);
});

it("leaves alone what belongs to somebody else, and says so", () => {
  const plan = planSetup({ ...COMPLETE, role: { trustsEc2: false }, profile: { roles: ["theirs"] } }, WISH);
  expect(plan.steps).toEqual([]);
  expect(plan.warnings).toEqual([
    expect.stringContaining("does not trust ec2.amazonaws.com"),
    "The instance profile skypilot-v1 holds the role theirs; a profile holds one role, so it is left as it is.",
  ]);
});
