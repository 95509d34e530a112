import { assert, boolean, constantFrom, property, record, subarray } from "fast-check";
import { describe, expect, it } from "vitest";
import { ACTIONS, FEATURES, STATEMENTS, type Feature, type Sid, type StatementTemplate } from "../actions.ts";
import { parseBuckets } from "./bucket-scope.ts";
import { buildPolicy, parseFeatures, partitionOf, printedActions, renderPolicy, type PolicyWish } from "./document.ts";

const allFeatures = Object.keys(FEATURES) as Feature[];

function wish(part: Partial<PolicyWish> = {}): PolicyWish {
  return { tier: "user", features: [], account: "123456789012", regions: [], isTagScoped: false, ...part };
}

describe("for some buckets", () => {
  const s3Of = (part: Partial<PolicyWish>): unknown[] =>
    buildPolicy(wish(part))
      .Statement.filter(({ Sid }) => Sid.startsWith("S3"))
      .map(({ Sid, Action, Resource, Condition }) => [Sid, Action, Resource, ...(Condition ? [Condition] : [])]);
  const uploads = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
  const objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", ...uploads];

  it("names whole buckets, and not the list of all", () => {
    const buckets = parseBuckets(["one,s3://team-*/"]);
    expect(s3Of({ features: ["buckets"], buckets })).toEqual([
      ["S3Objects", objects, ["arn:aws:s3:::one/*", "arn:aws:s3:::team-*/*"]],
      ["S3Buckets", ["s3:ListBucket", "s3:GetBucketLocation"], ["arn:aws:s3:::one", "arn:aws:s3:::team-*"]],
      [
        "S3Manage",
        ["s3:CreateBucket", "s3:DeleteBucket", "s3:PutBucketTagging"],
        ["arn:aws:s3:::one", "arn:aws:s3:::team-*"],
      ],
    ]);
  });

  it("lets a part of a bucket be listed by its prefix alone", () => {
    const policy = s3Of({ tier: "node", buckets: parseBuckets(["one", "two/models/a/"]) });
    expect(policy).toEqual([
      ["S3Objects", objects, ["arn:aws:s3:::one/*", "arn:aws:s3:::two/models/a", "arn:aws:s3:::two/models/a/*"]],
      ["S3Buckets", ["s3:ListBucket", "s3:GetBucketLocation"], "arn:aws:s3:::one"],
      ["S3BucketsPlace", "s3:GetBucketLocation", "arn:aws:s3:::two"],
      [
        "S3BucketsPart1",
        "s3:ListBucket",
        "arn:aws:s3:::two",
        { StringLike: { "s3:prefix": ["models/a", "models/a/*"] } },
      ],
    ]);
  });

  it.each([
    [["A_b"], "'A_b' names no bucket."],
    [["b/$x"], "a policy cannot hold '$' in a prefix"],
  ])("refuses %j", (given, message) => {
    expect(() => parseBuckets(given)).toThrow(message);
  });

  it("refuses to make or delete a part of a bucket", () => {
    const buckets = parseBuckets(["b/part"]);
    expect(() => buildPolicy(wish({ features: ["bucket-care"], buckets }))).toThrow("'b/part' is a part of a bucket");
  });
});

/** The documented policy, `ACCOUNT` in place of the account id. */
const MINIMAL = `{"Version":"2012-10-17","Statement":[
 {"Sid":"Read","Effect":"Allow","Action":["ec2:Describe*","servicequotas:GetServiceQuota"],"Resource":"*"},
 {"Sid":"RunFromAnyImage","Effect":"Allow","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*::image/*"},
 {"Sid":"Run","Effect":"Allow","Action":"ec2:RunInstances","Resource":["arn:aws:ec2:*:ACCOUNT:instance/*","arn:aws:ec2:*:ACCOUNT:volume/*","arn:aws:ec2:*:ACCOUNT:network-interface/*","arn:aws:ec2:*:ACCOUNT:subnet/*","arn:aws:ec2:*:ACCOUNT:security-group/*","arn:aws:ec2:*:ACCOUNT:capacity-reservation/*"]},
 {"Sid":"Lifecycle","Effect":"Allow","Action":["ec2:StartInstances","ec2:StopInstances","ec2:TerminateInstances"],"Resource":"arn:aws:ec2:*:ACCOUNT:instance/*"},
 {"Sid":"Tag","Effect":"Allow","Action":"ec2:CreateTags","Resource":["arn:aws:ec2:*:ACCOUNT:instance/*","arn:aws:ec2:*:ACCOUNT:volume/*","arn:aws:ec2:*:ACCOUNT:security-group/*"]},
 {"Sid":"SecurityGroups","Effect":"Allow","Action":["ec2:CreateSecurityGroup","ec2:AuthorizeSecurityGroupIngress"],"Resource":["arn:aws:ec2:*:ACCOUNT:security-group/*","arn:aws:ec2:*:ACCOUNT:vpc/*"]},
 {"Sid":"UseRole","Effect":"Allow","Action":["iam:GetRole","iam:PassRole"],"Resource":"arn:aws:iam::ACCOUNT:role/skypilot-v1"},
 {"Sid":"UseProfile","Effect":"Allow","Action":"iam:GetInstanceProfile","Resource":"arn:aws:iam::ACCOUNT:instance-profile/skypilot-v1"}
]}`.replaceAll("ACCOUNT", "123456789012");

const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  spot: [
    `{"Sid":"Spot","Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":"*","Condition":{"StringEquals":{"iam:AWSServiceName":"spot.amazonaws.com"}}}`,
  ],
  role: [
    `{"Sid":"AutoRole","Effect":"Allow","Action":["iam:CreateRole","iam:AttachRolePolicy","iam:PutRolePolicy"],"Resource":"arn:aws:iam::ACCOUNT:role/skypilot-v1"}`,
    `{"Sid":"AutoProfile","Effect":"Allow","Action":["iam:CreateInstanceProfile","iam:AddRoleToInstanceProfile"],"Resource":"arn:aws:iam::ACCOUNT:instance-profile/skypilot-v1"}`,
  ],
  ports: [
    `{"Sid":"Ports","Effect":"Allow","Action":["ec2:DeleteSecurityGroup","ec2:ModifyInstanceAttribute","ec2:RevokeSecurityGroupIngress"],"Resource":"arn:aws:ec2:*:ACCOUNT:*"}`,
  ],
  efa: [
    `{"Sid":"Efa","Effect":"Allow","Action":"ec2:AuthorizeSecurityGroupEgress","Resource":"arn:aws:ec2:*:ACCOUNT:security-group/*"}`,
    `{"Sid":"EfaPlacement","Effect":"Allow","Action":["ec2:CreateTags","ec2:RunInstances","ec2:CreatePlacementGroup","ec2:DeletePlacementGroup"],"Resource":"arn:aws:ec2:*:ACCOUNT:placement-group/sky-pg-*"}`,
  ],
  "clone-disk": [
    `{"Sid":"Clone","Effect":"Allow","Action":["ec2:CreateImage","ec2:CopyImage","ec2:DeregisterImage"],"Resource":"*"}`,
  ],
  ecr: [
    `{"Sid":"EcrLogin","Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}`,
    `{"Sid":"EcrPull","Effect":"Allow","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Resource":"arn:aws:ecr:*:*:repository/*"}`,
  ],
  ssm: [
    `{"Sid":"Ssm","Effect":"Allow","Action":"ssm:StartSession","Resource":["arn:aws:ec2:*:ACCOUNT:instance/*","arn:aws:ssm:*:*:document/AWS-StartSSHSession"]}`,
    '{"Sid":"SsmSessions","Effect":"Allow","Action":["ssmmessages:OpenDataChannel","ssm:ResumeSession","ssm:TerminateSession"],"Resource":"arn:aws:ssm:*:*:session/${aws:userid}-*"}',
    `{"Sid":"SsmLook","Effect":"Allow","Action":"ssm:DescribeInstanceInformation","Resource":"*"}`,
    `{"Sid":"SsmRole","Effect":"Allow","Action":"iam:ListAttachedRolePolicies","Resource":"arn:aws:iam::ACCOUNT:role/skypilot-v1"}`,
  ],
  s3: [
    `{"Sid":"S3Objects","Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"arn:aws:s3:::*/*"}`,
    `{"Sid":"S3Buckets","Effect":"Allow","Action":["s3:ListBucket","s3:GetBucketLocation"],"Resource":"arn:aws:s3:::*"}`,
    `{"Sid":"S3List","Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}`,
  ],
  buckets: [
    `{"Sid":"S3Manage","Effect":"Allow","Action":["s3:CreateBucket","s3:DeleteBucket","s3:PutBucketTagging"],"Resource":"arn:aws:s3:::*"}`,
  ],
};

describe("the policy", () => {
  it("is the documented minimal policy, to the letter", () => {
    expect(renderPolicy(buildPolicy(wish()))).toBe(MINIMAL);
  });

  it.each(Object.keys(OPTIONAL) as Feature[])("appends the documented statements of %s", (feature) => {
    const added = buildPolicy(wish({ features: [feature] })).Statement.slice(8);
    const documented = [...(feature === "buckets" ? (OPTIONAL["s3"] ?? []) : []), ...(OPTIONAL[feature] ?? [])];
    expect(added).toEqual(documented.map((text) => JSON.parse(text.replaceAll("ACCOUNT", "123456789012")) as unknown));
  });

  it("allows everything that the policy published for SkyPilot 0.14.1 allows, but the tag deletion that nothing calls", () => {
    const published = ["ec2:RunInstances", "ec2:TerminateInstances", "ec2:StartInstances", "ec2:CreateTags"]
      .concat(["ec2:StopInstances", "ec2:Describe*", "ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress"])
      .concat(["iam:GetRole", "iam:PassRole", "iam:GetInstanceProfile", "iam:CreateServiceLinkedRole"]);
    const granted = buildPolicy(wish({ features: ["spot"] })).Statement.flatMap((each) => each.Action);
    expect(published.filter((action) => !granted.includes(action))).toEqual([]);
  });

  it("for nodes is the minimal policy with ports and buckets", () => {
    const sids = buildPolicy(wish({ tier: "node" })).Statement.map((each) => each.Sid);
    const documented = "Read RunFromAnyImage Run Lifecycle Tag SecurityGroups UseRole UseProfile";
    expect(sids.join(" ")).toBe(`${documented} Ports S3Objects S3Buckets S3List`);
  });

  it("for the admin who sets up names only what SkyPilot owns", () => {
    const resources = buildPolicy(wish({ tier: "admin-setup" })).Statement.flatMap((each) => each.Resource);
    expect(resources).toEqual([
      "arn:aws:iam::123456789012:role/skypilot-v1",
      "arn:aws:iam::123456789012:instance-profile/skypilot-v1",
      "arn:aws:iam::123456789012:policy/skypilot-user",
    ]);
  });

  it("keeps EC2 in the regions that are named", () => {
    const policy = buildPolicy(wish({ regions: ["eu-west-1", "eu-north-1"] }));
    expect(policy.Statement.find((each) => each.Sid === "Lifecycle")?.Resource).toEqual([
      "arn:aws:ec2:eu-west-1:123456789012:instance/*",
      "arn:aws:ec2:eu-north-1:123456789012:instance/*",
    ]);
    const china = buildPolicy(wish({ regions: ["cn-north-1"], features: ["s3"] }));
    expect(JSON.stringify(china)).not.toContain("arn:aws:");
  });

  it("limits to what SkyPilot tagged what can be limited", () => {
    const policy = buildPolicy(wish({ isTagScoped: true, features: ["ports", "ssm"] }));
    const conditions = Object.fromEntries(policy.Statement.map((each) => [each.Sid, each.Condition]));
    expect(conditions["Lifecycle"]).toEqual({ StringLike: { "aws:ResourceTag/skypilot-cluster-name": "*" } });
    expect(conditions["Run"]).toEqual({ StringLike: { "aws:RequestTag/skypilot-cluster-name": "*" } });
    expect(conditions["TagAtCreation"]).toEqual({ StringLike: { "ec2:CreateAction": "*" } });
    expect(conditions["Tag"]).toEqual({ StringLike: { "aws:ResourceTag/skypilot-cluster-name": "*" } });
    expect(conditions["Ports"]).toEqual({ StringEquals: { "aws:ResourceTag/skypilot": "true" } });
    expect(conditions["Ssm"]).toEqual({ StringLike: { "ssm:resourceTag/skypilot-cluster-name": "*" } });
    expect(conditions["RunInto"]).toBeUndefined();
  });

  it.each([
    [{ account: "12345" }, "'12345' is not an AWS account id: it has 12 digits."],
    [{ account: '123456789012","Effect' }, "is not an AWS account id"],
    [{ regions: ["mars-1"] }, "'mars-1' is not an AWS region."],
    [{ regions: ["us-east-1", "cn-north-1"] }, "One policy holds for one partition: aws, aws-cn or aws-us-gov."],
  ])("refuses %j", (part, message) => {
    expect(() => buildPolicy(wish(part))).toThrow(message);
  });

  it("is valid for IAM whatever is asked for: unique alphanumeric Sids, no placeholder left", () => {
    const arbitrary = record({
      tier: constantFrom("admin-setup", "user", "node"),
      features: subarray(allFeatures),
      regions: subarray(["us-east-1", "eu-west-1"]),
      isTagScoped: boolean(),
    });
    assert(
      property(arbitrary, (part) => {
        const policy = buildPolicy(wish(part));
        const sids = policy.Statement.map((each) => each.Sid);
        expect(new Set(sids).size).toBe(sids.length);
        expect(sids.filter((sid) => !/^[A-Za-z0-9]+$/u.test(sid))).toEqual([]);
        expect(JSON.stringify(policy)).not.toMatch(/ACCOUNT|REGION|PARTITION/u);
        expect(JSON.parse(renderPolicy(policy))).toEqual(policy);
      }),
    );
  });

  it("fits into a managed policy (6144 characters without white space) with every feature", () => {
    for (const isTagScoped of [false, true]) {
      const text = JSON.stringify(buildPolicy(wish({ features: allFeatures, isTagScoped })));
      expect(text.replaceAll(/\s/gu, "").length).toBeLessThan(6144);
    }
  });
});

describe("the table", () => {
  it("has each row once, and a statement that covers it", () => {
    const ids = ACTIONS.map((row) => row.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const row of ACTIONS) {
      const template: StatementTemplate = STATEMENTS[row.sid];
      const isCovered = (resource: string): boolean =>
        template.resources.some((pattern) => pattern === resource || resource.startsWith(pattern.replace(/\*$/u, "")));
      expect(
        row.resources.filter((resource) => !isCovered(resource)),
        row.id,
      ).toEqual([]);
    }
  });

  it("has rows for every statement", () => {
    expect((Object.keys(STATEMENTS) as Sid[]).filter((sid) => printedActions(sid).length === 0)).toEqual([]);
  });
});

describe("parseFeatures", () => {
  it("takes lists, blanks and all", () => {
    expect(parseFeatures(["launch, spot", "s3"])).toEqual(["launch", "spot", "s3"]);
    expect(parseFeatures(["all"])).toEqual(allFeatures);
    expect(parseFeatures([""])).toEqual([]);
    expect(() => parseFeatures(["launch,teleport"])).toThrow("'teleport' is not a feature of the AWS policy.");
  });
});

it("partitionOf tells China and GovCloud from the rest", () => {
  expect([undefined, "us-east-1", "cn-north-1", "us-gov-west-1"].map(partitionOf)).toEqual([
    "aws",
    "aws",
    "aws-cn",
    "aws-us-gov",
  ]);
});
