import { describe, expect, it } from "vitest";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { classify, toCoreError } from "./failures.ts";

function answer(name: string, httpStatusCode = 400): Error {
  return Object.assign(new Error(`${name} said AWS.`), { name, $metadata: { httpStatusCode } });
}

const OF = { region: "us-east-1", what: "2x m6i.large in us-east-1a" };

describe("errors of EC2", () => {
  it.each([
    ["InsufficientInstanceCapacity", 500, "capacity", "NO_CAPACITY"],
    ["Unsupported", 400, "capacity", "NO_CAPACITY"],
    ["SpotMaxPriceTooLow", 400, "capacity", "NO_CAPACITY"],
    ["InsufficientFreeAddressesInSubnet", 400, "capacity", "NO_CAPACITY"],
    ["VcpuLimitExceeded", 400, "quota", "QUOTA_EXCEEDED"],
    ["MaxSpotInstanceCountExceeded", 400, "quota", "QUOTA_EXCEEDED"],
    ["OptInRequired", 401, "quota", "QUOTA_EXCEEDED"],
    ["UnauthorizedOperation", 403, "account", "CLOUD_ACCESS"],
    ["ExpiredToken", 400, "account", "CLOUD_ACCESS"],
    ["Blocked", 400, "account", "CLOUD_ACCESS"],
    ["InvalidAMIID.NotFound", 400, "region", "REGION_UNUSABLE"],
    ["InvalidSubnetID.NotFound", 400, "region", "REGION_UNUSABLE"],
    ["InvalidGroup.NotFound", 400, "region", "REGION_UNUSABLE"],
    ["InvalidGroupId.NotFound", 400, "region", "REGION_UNUSABLE"],
    ["InvalidCapacityReservationId.NotFound", 400, "region", "REGION_UNUSABLE"],
    ["InvalidParameterValue", 400, "request", "OPERATION_FAILED"],
    ["InvalidBlockDeviceMapping", 400, "request", "OPERATION_FAILED"],
    ["RequestLimitExceeded", 503, "transient", "CLOUD_BUSY"],
    ["SomethingNew", 500, "transient", "CLOUD_BUSY"],
  ])("takes %s (%i) for %s", (name, status, kind, code) => {
    const error = answer(name, status);
    expect(classify(error)).toBe(kind);
    const told = toCoreError(error, OF);
    expect(told).toMatchObject({ code, cause: error });
    expect(String(told)).toContain(`2x m6i.large in us-east-1a: ${name}: ${name} said AWS.`);
  });

  it("tells a lost answer from a refusal", () => {
    const error = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", $metadata: { attempts: 1 } });
    expect(classify(error)).toBe("no-answer");
    expect(toCoreError(error, OF)).toMatchObject({ code: "UNKNOWN_OUTCOME" });
  });

  it("keeps the explanation of a denied call", () => {
    const denied = new AwsDeniedError({
      action: "ec2:RunInstances",
      principal: "arn:aws:iam::123456789012:user/bob",
      cause: { kind: "not-allowed", by: "identity-based" },
    });
    expect(toCoreError(denied, OF)).toMatchObject({
      code: "CLOUD_ACCESS",
      message: "AWS refused ec2:RunInstances to arn:aws:iam::123456789012:user/bob.",
      denied: { action: "ec2:RunInstances", principal: "arn:aws:iam::123456789012:user/bob" },
    });
  });

  it("gives back what is no error of AWS", () => {
    const abort = Object.assign(new Error("The operation was aborted"), { name: "AbortError" });
    expect(classify(abort)).toBeUndefined();
    expect(toCoreError(abort, OF)).toBe(abort);
    expect(classify(new TypeError("x is undefined"))).toBeUndefined();
  });
});
