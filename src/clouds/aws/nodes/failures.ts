import {
  CloudAccessError,
  CloudBusyError,
  NoCapacityError,
  NotSupportedError,
  OperationFailedError,
  QuotaExceededError,
  RegionUnusableError,
  SkyError,
  UnknownOutcomeError,
} from "../../../shared/errors.ts";
import { isNetworkError } from "../../../platform/network-error.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { failureOf, type ServiceFailure } from "../../../shared/sdk-failure.ts";

/** How far an error of EC2 reaches: it decides what is tried next. */
export type FailureClass =
  | "capacity"
  | "quota"
  | "account"
  | "region"
  | "request"
  | "transient"
  /** No answer: the call may have had its effect. */
  | "no-answer";

const CAPACITY = new Set([
  "InsufficientInstanceCapacity",
  "InsufficientHostCapacity",
  "InsufficientReservedInstanceCapacity",
  "InsufficientCapacity",
  "InsufficientCapacityOnHost",
  "InsufficientFreeAddressesInSubnet",
  "InsufficientAddressCapacity",
  "ReservationCapacityExceeded",
  "SpotMaxPriceTooLow",
  "Unsupported",
]);

const QUOTA = new Set([
  "VcpuLimitExceeded",
  "InstanceLimitExceeded",
  "MaxSpotInstanceCountExceeded",
  "MaxSpotFleetRequestCountExceeded",
  "VolumeLimitExceeded",
  "MaxIOPSLimitExceeded",
  "PendingVerification",
  "OptInRequired",
  "AddressLimitExceeded",
  "NetworkInterfaceLimitExceeded",
  "SecurityGroupLimitExceeded",
]);

const ACCOUNT = new Set([
  "AuthFailure",
  "Blocked",
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "InvalidClientToken",
  "InvalidAccessKeyId",
  "PendingAccountVerification",
  "RequestExpired",
  "SignatureDoesNotMatch",
  "UnauthorizedOperation",
  "AccessDenied",
  "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
]);

const TRANSIENT = new Set([
  "RequestLimitExceeded",
  "Throttling",
  "ThrottlingException",
  "ThrottledException",
  "RequestThrottled",
  "RequestThrottledException",
  "TooManyRequestsException",
  "EC2ThrottledException",
  "InternalError",
  "InternalFailure",
  "InternalServiceError",
  "ServerInternal",
  "ServiceUnavailable",
  "Unavailable",
]);

/** Things of one region: another region has its own. */
const OF_REGION =
  /^(?:InvalidAMIID|InvalidSubnet|InvalidSubnetID|InvalidVpc|InvalidVpcID|InvalidGroup|InvalidGroupId|InvalidCapacityReservationId)\b/u;

/** Sorts an error of an EC2 call; undefined for what is none, such as an abort or an error of ours. */
export function classify(error: unknown): FailureClass | undefined {
  if (error instanceof AwsDeniedError) return "account";
  if (error instanceof SkyError) return undefined;
  if (isUnanswered(error)) return "no-answer";
  const failure = failureOf(error);
  if (failure?.httpStatus === undefined) return undefined;
  return classOf(failure);
}

function classOf({ name, httpStatus }: ServiceFailure): FailureClass {
  if (CAPACITY.has(name)) return "capacity";
  if (QUOTA.has(name)) return "quota";
  if (ACCOUNT.has(name)) return "account";
  if (TRANSIENT.has(name)) return "transient";
  if (OF_REGION.test(name)) return "region";
  // EC2 answers some refusals with a 5xx; those that it names are above.
  return (httpStatus ?? 0) >= 500 ? "transient" : "request";
}

/** Whether the connection ended without an answer. The SDK marks an answer by its status. */
function isUnanswered(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === "AbortError") return false;
  return failureOf(error)?.httpStatus === undefined && isNetworkError(error);
}

export interface FailureOf {
  readonly region: string;
  /** What was asked for, e.g. `2x m6i.large in us-east-1a`. */
  readonly what: string;
  /** False when an earlier call of the same launch has created nodes; true when absent. */
  readonly isClean?: boolean;
}

export const QUOTA_LINK = "https://docs.skypilot.co/en/latest/cloud-setup/quota.html";

/**
 * An error of a launch as the core understands it; any other error is given back as it is. A refusal means that EC2 created nothing
 * by this call.
 */
export function toCoreError(error: unknown, of: FailureOf): unknown {
  const kind = classify(error);
  if (kind === undefined) return error;
  if (error instanceof AwsDeniedError) {
    const { action, principal, resource } = error.denial;
    const denied = {
      action,
      ...(principal === undefined ? {} : { principal }),
      ...(resource === undefined ? {} : { resource }),
    };
    return new CloudAccessError(error.message, { ...hintOf(error.hint), denied, cause: error });
  }
  const { name, message } = failureOf(error) ?? { name: "UnknownError", message: String(error) };
  const text = `${of.what}: ${name}: ${message}`;
  const { isClean = true } = of;
  switch (kind) {
    case "capacity":
      return new NoCapacityError(text, { cause: error, isClean });
    case "quota":
      return new QuotaExceededError(text, { cause: error, isClean, hint: quotaHint(name, of.region) });
    case "region":
      return new RegionUnusableError(text, { cause: error, isClean });
    case "account":
      return new CloudAccessError(text, { cause: error, hint: accountHint(name) });
    case "transient":
      return new CloudBusyError(text, { cause: error });
    case "no-answer":
      return new UnknownOutcomeError(`${of.what}: AWS did not answer (${message}).`, { cause: error });
    case "request":
      return isUnsupported(name)
        ? new NotSupportedError(text, { cause: error })
        : new OperationFailedError(text, { cause: error });
  }
}

function hintOf(hint: string | undefined): { readonly hint?: string } {
  return hint === undefined ? {} : { hint };
}

function isUnsupported(name: string): boolean {
  return name === "UnsupportedOperation" || name === "UnsupportedHibernationConfiguration";
}

function quotaHint(name: string, region: string): string {
  if (name === "OptInRequired") return `Enable the region: aws account enable-region --region-name ${region}`;
  if (name === "PendingVerification")
    return "AWS still verifies the account for this region; it writes a mail when it has.";
  return `To request quotas, check the instruction: ${QUOTA_LINK}`;
}

function accountHint(name: string): string {
  switch (name) {
    case "AuthFailure.ServiceLinkedRoleCreationNotPermitted":
      return "Let an administrator run: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com";
    case "Blocked":
    case "PendingAccountVerification":
      return "AWS has blocked the account; contact AWS Support.";
    default:
      return "sky check aws -v";
  }
}
