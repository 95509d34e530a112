import { describe, expect, it } from "vitest";
import { ACTIONS } from "../actions.ts";
import { actionOf, bucketArnOf } from "./api-actions.ts";
import { failureOf, isDenial, type ServiceFailure } from "../../../shared/sdk-failure.ts";
import { mergeDecoded, parseDenial } from "./denial.ts";
import { AwsDeniedError, explainFailure } from "./denied-error.ts";
import { matchesPattern, statementFor } from "./remedy.ts";

const RUN = { service: "ec2", operation: "RunInstances" };

function failure(name: string, message: string, httpStatus?: number): ServiceFailure {
  return httpStatus === undefined ? { name, message } : { name, message, httpStatus };
}

function sdkError(name: string, message: string, httpStatusCode = 403): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });
}

describe("parseDenial", () => {
  it("reads action, resource, principal and cause of EC2's long form", () => {
    const text =
      "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/ann is not authorized to perform: " +
      "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:123456789012:volume/* because no identity-based policy allows the " +
      "ec2:RunInstances action. Encoded authorization failure message: AbC-_123";
    expect(parseDenial(failure("UnauthorizedOperation", text), RUN)).toEqual({
      action: "ec2:RunInstances",
      resource: "arn:aws:ec2:us-east-1:123456789012:volume/*",
      principal: "arn:aws:iam::123456789012:user/ann",
      cause: { kind: "not-allowed", by: "identity-based" },
      encodedMessage: "AbC-_123",
    });
  });

  it("names the action that was refused, not the call: PassRole and CreateTags inside RunInstances", () => {
    const text =
      "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/Dev/bob is not authorized to " +
      "perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/skypilot-v1 because no identity-based policy allows the iam:PassRole action.";
    const denial = parseDenial(failure("UnauthorizedOperation", text), RUN);
    expect(denial).toMatchObject({ action: "iam:PassRole", resource: "arn:aws:iam::123456789012:role/skypilot-v1" });
  });

  it("falls back on the call when AWS says nothing", () => {
    const bare = failure("UnauthorizedOperation", "You are not authorized to perform this operation.");
    expect(parseDenial(bare, RUN)).toEqual({ action: "ec2:RunInstances", cause: { kind: "unknown" } });
  });

  it.each([
    ["with an explicit deny in a service control policy", { kind: "explicit-deny", by: "service control" }],
    ["with an explicit deny in an identity-based policy", { kind: "explicit-deny", by: "identity-based" }],
    ["with an explicit deny in a permissions boundary", { kind: "explicit-deny", by: "permissions boundary" }],
    ["because no permissions boundary allows the ec2:X action", { kind: "not-allowed", by: "permissions boundary" }],
    ["because no session policy allows the ec2:X action", { kind: "not-allowed", by: "session" }],
    ["because no VPC endpoint policy allows the ec2:X action", { kind: "not-allowed", by: "VPC endpoint" }],
  ])("knows the cause of a refusal %s", (clause, cause) => {
    const text = `User: arn:aws:iam::123456789012:user/a is not authorized to perform: ec2:X on resource: arn:aws:ec2:::x ${clause}`;
    expect(parseDenial(failure("AccessDenied", text), RUN)?.cause).toEqual(cause);
  });

  it("reads S3's quoted resource, and names the bucket where S3 names nothing", () => {
    const text = `User: arn:aws:iam::123456789012:user/a is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::b" because no identity-based policy allows the s3:ListBucket action`;
    const call = { service: "s3", operation: "ListObjectsV2", bucket: "b" };
    expect(parseDenial(failure("AccessDenied", text), call)?.resource).toBe("arn:aws:s3:::b");
    expect(parseDenial(failure("403", "UnknownError", 403), { ...call, operation: "HeadBucket" })).toMatchObject({
      action: "s3:ListBucket",
      resource: "arn:aws:s3:::b",
    });
  });

  it.each(["AuthFailure", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidAMIID.NotFound"])(
    "leaves %s alone: no policy repairs it",
    (name) => {
      expect(isDenial(failure(name, "x", 403))).toBe(false);
      expect(parseDenial(failure(name, "User: a is not authorized to perform: ec2:X"), RUN)).toBeUndefined();
    },
  );
});

describe("mergeDecoded", () => {
  it("takes action, resource and principal from the decoded message", () => {
    const decoded = JSON.stringify({
      allowed: false,
      explicitDeny: true,
      matchedStatements: { items: [{ statementId: "NoGpus", effect: "DENY" }] },
      context: {
        principal: { id: "AIDA", arn: "arn:aws:iam::123456789012:user/a" },
        action: "ec2:RunInstances",
        resource: "arn:aws:ec2:us-east-1:123456789012:instance/*",
      },
    });
    expect(mergeDecoded({ action: "ec2:RunInstances", cause: { kind: "unknown" } }, decoded)).toEqual({
      action: "ec2:RunInstances",
      resource: "arn:aws:ec2:us-east-1:123456789012:instance/*",
      principal: "arn:aws:iam::123456789012:user/a",
      cause: { kind: "explicit-deny", by: "statement NoGpus" },
    });
  });

  it("keeps what is known when a part is missing", () => {
    const denial = { action: "ec2:X", resource: "r", cause: { kind: "unknown" } } as const;
    expect(mergeDecoded(denial, '{"context":{"action":7}}')).toEqual(denial);
  });
});

describe("explainFailure", () => {
  const short = "You are not authorized to perform this operation. Encoded authorization failure message: ENC";

  it("says what to add, to whom", async () => {
    const text =
      "User: arn:aws:sts::123456789012:assumed-role/Dev/bob is not authorized to perform: ec2:TerminateInstances on resource: " +
      "arn:aws:ec2:eu-west-1:123456789012:instance/i-1 because no identity-based policy allows the ec2:TerminateInstances action";
    const error = await explainFailure(sdkError("UnauthorizedOperation", text), {
      ...RUN,
      operation: "TerminateInstances",
    });
    expect(error).toBeInstanceOf(AwsDeniedError);
    expect((error as AwsDeniedError).message).toBe(
      "AWS refused ec2:TerminateInstances on arn:aws:ec2:eu-west-1:123456789012:instance/i-1 to arn:aws:sts::123456789012:assumed-role/Dev/bob.",
    );
    expect((error as AwsDeniedError).hint).toBe(
      'Add to the policy of the role Dev:\n  {"Sid":"Lifecycle","Effect":"Allow","Action":"ec2:TerminateInstances","Resource":"arn:aws:ec2:*:123456789012:instance/*"}',
    );
  });

  it("decodes when it may", async () => {
    const decode = (encoded: string): Promise<string> =>
      Promise.resolve(JSON.stringify({ context: { action: "ec2:CreateTags", resource: `arn:${encoded}` } }));
    const error = await explainFailure(sdkError("UnauthorizedOperation", short), RUN, { decode });
    expect((error as AwsDeniedError).denial).toMatchObject({ action: "ec2:CreateTags", resource: "arn:ENC" });
  });

  it("stands by what AWS says in clear when it may not decode", async () => {
    const decode = (): Promise<string> => Promise.reject(sdkError("AccessDenied", "no"));
    const error = await explainFailure(sdkError("UnauthorizedOperation", short), RUN, { decode });
    expect((error as AwsDeniedError).denial.action).toBe("ec2:RunInstances");
  });

  it("proposes nothing that an explicit deny would defeat", async () => {
    const text =
      "User: arn:aws:iam::123456789012:user/a is not authorized to perform: ec2:RunInstances on resource: x with an explicit deny in a service control policy";
    const error = await explainFailure(sdkError("AccessDenied", text), RUN);
    expect((error as AwsDeniedError).hint).toBe(
      "It is refused by an explicit deny (service control): no further statement helps, the deny has to go. Ask whoever manages it.",
    );
  });

  it("gives other errors back", async () => {
    const other = sdkError("InsufficientInstanceCapacity", "full", 500);
    expect(await explainFailure(other, RUN)).toBe(other);
    expect(await explainFailure("text", RUN)).toBe("text");
    expect(failureOf(undefined)).toBeUndefined();
  });
});

describe("statementFor", () => {
  it("finds a statement that allows exactly the refused action, for every row of the table", () => {
    for (const row of ACTIONS) {
      const resource = (row.resources[0] ?? "").replace("PARTITION", "aws").replace("REGION", "us-east-1");
      const denied = resource.replace("ACCOUNT", "123456789012").replaceAll("*", "x");
      const principal = "arn:aws:iam::123456789012:user/a";
      const statement = statementFor({ action: row.action, resource: denied, principal, cause: { kind: "unknown" } });
      expect(statement.Action, row.id).toBe(row.action);
      const resources = [statement.Resource].flat();
      expect(
        resources.some((each) => matchesPattern(each, denied)),
        `${row.id} on ${denied}`,
      ).toBe(true);
    }
  });

  it("names the very role when another than ours is passed", () => {
    const resource = "arn:aws:iam::123456789012:role/custom";
    expect(statementFor({ action: "iam:PassRole", resource, cause: { kind: "unknown" } })).toEqual({
      Sid: "AllowiamPassRole",
      Effect: "Allow",
      Action: "iam:PassRole",
      Resource: resource,
    });
  });
});

it("actionOf and bucketArnOf know S3's other names", () => {
  const of = (operation: string): string => actionOf({ service: "s3", operation });
  expect(["HeadBucket", "ListBuckets", "UploadPart", "DeleteObjects", "CreateBucket"].map(of)).toEqual([
    "s3:ListBucket",
    "s3:ListAllMyBuckets",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:CreateBucket",
  ]);
  expect(bucketArnOf({ service: "s3", operation: "PutObject", bucket: "b", key: "k" })).toBe("arn:aws:s3:::b/k");
  expect(bucketArnOf({ service: "s3", operation: "ListParts", bucket: "b", key: "k" })).toBe("arn:aws:s3:::b/k");
  expect(bucketArnOf({ service: "s3", operation: "HeadBucket", bucket: "b" })).toBe("arn:aws:s3:::b");
  expect(bucketArnOf({ service: "ec2", operation: "RunInstances" })).toBeUndefined();
});

it("matchesPattern reads * and ? and nothing else", () => {
  expect(matchesPattern("arn:aws:ec2:*:1:instance/*", "arn:aws:ec2:eu:1:instance/i-1")).toBe(true);
  expect(matchesPattern("a.c", "abc")).toBe(false);
  expect(matchesPattern("ec2:describe?mages", "ec2:DescribeImages", { ignoreCase: true })).toBe(true);
});
