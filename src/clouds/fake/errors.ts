import {
  CloudAccessError,
  CloudBusyError,
  NoCapacityError,
  OperationFailedError,
  QuotaExceededError,
  RegionUnusableError,
  UnknownOutcomeError,
  type SkyError,
} from "../../shared/errors.ts";

export type FakeErrorCode =
  | "InsufficientCapacity"
  | "QuotaExceeded"
  | "NetworkNotFound"
  | "Unauthorized"
  | "RequestLimitExceeded"
  | "IdempotentParameterMismatch"
  | "AnswerLost";

/** What the provider's API answers. */
export class FakeApiError extends Error {
  readonly code: FakeErrorCode;
  /** Nodes that were made all the same. */
  readonly made: number;
  constructor(code: FakeErrorCode, message: string, made = 0) {
    super(message);
    this.code = code;
    this.made = made;
  }
}

const FILE = "~/.sky/fake.yaml";

/** Turns the provider's answer into an error of the product. */
export function toSkyError(error: FakeApiError): SkyError {
  const message = `${error.message.replace(/\.$/, "")} (${error.code}).`;
  const options = { cause: error, isClean: error.made === 0 };
  switch (error.code) {
    case "InsufficientCapacity":
      return new NoCapacityError(message, options);
    case "QuotaExceeded":
      return new QuotaExceededError(message, { ...options, hint: `Raise it: \`quotas\` in ${FILE}.` });
    case "NetworkNotFound":
      return new RegionUnusableError(message, { ...options, hint: `See \`broken_networks\` in ${FILE}.` });
    case "Unauthorized":
      return new CloudAccessError(message, { cause: error, hint: `See \`denied\` in ${FILE}.` });
    case "RequestLimitExceeded":
      return new CloudBusyError(message, { cause: error });
    case "AnswerLost":
      return new UnknownOutcomeError(message, { cause: error });
    case "IdempotentParameterMismatch":
      return new OperationFailedError(message, { cause: error, hint: "This is a bug: a token was used twice." });
  }
}
