import { OperationFailedError, SkyError } from "../../shared/errors.ts";
import { failureOf } from "../../shared/sdk-failure.ts";

/** Codes that mean the credentials, not the call. */
const ABOUT_CREDENTIALS: ReadonlySet<string> = new Set([
  "AuthFailure",
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidAccessKeyId",
  "InvalidClientTokenId",
  "RequestExpired",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
]);

/** Runs the work of a command; an error of AWS that nothing else has explained reaches the user in AWS's words. */
export async function withServiceErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainServiceError(error);
  }
}

/** An error of AWS as the user reads it; any other is given back. */
export function explainServiceError(error: unknown): unknown {
  const failure = failureOf(error);
  if (failure === undefined || error instanceof SkyError || !isOfAws(error)) return error;
  if (ABOUT_CREDENTIALS.has(failure.name)) {
    const message = `AWS does not accept the credentials any more (${failure.name}: ${failure.message}).`;
    return new OperationFailedError(message, { cause: error, hint: "sky check aws -v" });
  }
  return new OperationFailedError(`AWS answered ${failure.name}: ${failure.message}`, { cause: error });
}

/** The SDK marks its errors: those with an answer, and those of a network that gave none. */
function isOfAws(error: unknown): boolean {
  return error instanceof Error && ("$metadata" in error || "$service" in error || "$fault" in error);
}
