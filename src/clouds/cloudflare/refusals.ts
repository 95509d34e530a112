import { OperationFailedError, PermissionDeniedError } from "../../shared/errors.ts";
import { failureOf, isDenial, type FailedCall, type ServiceFailure } from "../../shared/sdk-failure.ts";
import { CREDENTIALS_FILE, SET_KEYS } from "./account.ts";

/** Makes an error of a call to R2 one that says what the API token lacks; any other is given back. */
export function explainFailure(error: unknown, { operation, bucket = "", key }: FailedCall): unknown {
  const failure = failureOf(error);
  if (failure === undefined) return error;
  if (isAboutKeys(failure)) return new OperationFailedError(wrongKeys(failure), { cause: error, hint: SET_KEYS });
  if (!isDenial(failure)) return error;
  const what = key === undefined ? bucket : `${key} of ${bucket}`;
  return new PermissionDeniedError(`Cloudflare R2 refused ${operation}${what === "" ? "" : ` on ${what}`}.`, {
    cause: error,
    hint:
      `The R2 API token of ${CREDENTIALS_FILE} needs the permission "Object Read & Write" for this bucket; making and ` +
      'deleting buckets takes "Admin Read & Write".',
  });
}

/** Whether the keys are wrong, and not what they may do. */
export function isAboutKeys({ name, message, httpStatus }: ServiceFailure): boolean {
  if (httpStatus === 401 || ["InvalidAccessKeyId", "SignatureDoesNotMatch", "Unauthorized"].includes(name)) return true;
  // Keys of another length than R2's.
  return name === "InvalidArgument" && /access key/iu.test(message);
}

export function wrongKeys({ name, message }: ServiceFailure): string {
  return `Cloudflare R2 does not accept the keys of ${CREDENTIALS_FILE} (${name}: ${message.replace(/\.$/u, "")}).`;
}
