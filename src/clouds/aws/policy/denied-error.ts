import { PermissionDeniedError } from "../../../shared/errors.ts";
import type { ApiCall } from "./api-actions.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import { mergeDecoded, parseDenial, type Denial } from "./denial.ts";
import { explainDenial } from "./remedy.ts";

/** AWS refused a call: trying again, or elsewhere in the account, does not help. */
export class AwsDeniedError extends PermissionDeniedError {
  readonly denial: Denial;
  constructor(denial: Denial, options?: ErrorOptions) {
    const { message, hint } = explainDenial(denial);
    super(message, { ...options, hint });
    this.denial = denial;
  }
}

/** Asks AWS for the content of an encoded authorization message. Rejects when that is not allowed. */
export type DecodeMessage = (encoded: string) => Promise<string>;

/**
 * Turns a refusal into an AwsDeniedError; gives any other error back as it is. An encoded message is decoded when that is allowed,
 * else the refusal is explained by what it says in clear.
 */
export async function explainFailure(
  error: unknown,
  call: ApiCall,
  options: { readonly decode?: DecodeMessage } = {},
): Promise<unknown> {
  if (error instanceof AwsDeniedError) return error;
  const failure = failureOf(error);
  const denial = failure === undefined ? undefined : parseDenial(failure, call);
  if (denial === undefined) return error;
  const { encodedMessage } = denial;
  if (encodedMessage === undefined || options.decode === undefined || denial.resource !== undefined) {
    return new AwsDeniedError(denial, { cause: error });
  }
  const decoded = await options
    .decode(encodedMessage)
    .then((text) => mergeDecoded(denial, text))
    // Decoding needs a permission of its own; without it the refusal stands as AWS worded it.
    .catch(() => denial);
  return new AwsDeniedError(decoded, { cause: error });
}
