import { expect, test } from "vitest";
import { evaluate, type AccessQuestion, type Statement } from "../../../test/support/aws/policy-evaluator.ts";
import { placePolicy } from "./lend.ts";

const PLACE = { bucket: "data", region: "eu-west-1", prefix: "models/llama" };
const WRITER = { isReadOnly: false };

function decide(statements: readonly object[], question: Partial<AccessQuestion>): string {
  const whole = { action: "", resource: "*", context: {}, ...question };
  return evaluate(statements as Statement[], whole).decision;
}

/** What S3 asks of KMS for a caller, as its documentation has it. */
function viaS3(action: string, arn: string, service = "s3.eu-west-1.amazonaws.com"): Partial<AccessQuestion> {
  const context = { "kms:ViaService": service, "kms:EncryptionContext:aws:s3:arn": arn };
  return { action, resource: "arn:aws:kms:eu-west-1:123456789012:key/1234abcd", context };
}

test("lent keys decrypt what S3 has encrypted with a customer's key in their bucket, and nothing else", () => {
  const { Statement } = placePolicy(PLACE, WRITER);
  const object = "arn:aws:s3:::data/models/llama/weights";
  for (const action of ["kms:Decrypt", "kms:GenerateDataKey"]) {
    expect(decide(Statement, viaS3(action, object))).toBe("allowed");
    // With a bucket key.
    expect(decide(Statement, viaS3(action, "arn:aws:s3:::data"))).toBe("allowed");
    expect(decide(Statement, viaS3(action, "arn:aws:s3:::database/models/llama/weights"))).toBe("implicitDeny");
    expect(decide(Statement, viaS3(action, object, "ec2.eu-west-1.amazonaws.com"))).toBe("implicitDeny");
    expect(decide(Statement, viaS3(action, object, "s3.eu-west-2.amazonaws.com"))).toBe("implicitDeny");
    // Of KMS itself.
    expect(decide(Statement, { action })).toBe("implicitDeny");
  }
  expect(decide(Statement, viaS3("kms:ReEncryptFrom", object))).toBe("implicitDeny");
  // The same key encrypts all of the bucket: S3 itself keeps to the prefix.
  expect(decide(Statement, { action: "s3:GetObject", resource: "arn:aws:s3:::data/models/other" })).toBe(
    "implicitDeny",
  );
});

test("keys that may only read make no data keys", () => {
  const { Statement } = placePolicy(PLACE, { isReadOnly: true });
  expect(decide(Statement, viaS3("kms:Decrypt", "arn:aws:s3:::data/models/llama/a"))).toBe("allowed");
  expect(decide(Statement, viaS3("kms:GenerateDataKey", "arn:aws:s3:::data/models/llama/a"))).toBe("implicitDeny");
});

test.each(["s3.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"])("in China S3 may be %s", (service) => {
  const { Statement } = placePolicy({ ...PLACE, region: "cn-north-1" }, WRITER);
  expect(decide(Statement, viaS3("kms:Decrypt", "arn:aws-cn:s3:::data/models/llama/a", service))).toBe("allowed");
});

test("the policy is as short as AWS wants it, whatever the prefix, as long as it was without KMS", () => {
  const longest = { bucket: "b".repeat(63), region: "ap-southeast-1" };
  const sized = (prefix: number): { readonly text: string; readonly statements: number } => {
    const policy = placePolicy({ ...longest, prefix: "p".repeat(prefix) }, WRITER);
    return { text: JSON.stringify(policy), statements: policy.Statement.length };
  };
  expect(sized(300).statements).toBe(3);
  for (const prefix of [0, 300, 350, 400, 450]) expect(sized(prefix).text.length).toBeLessThanOrEqual(2048);
  expect(sized(450).statements).toBe(2);
});
