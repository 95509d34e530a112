import { AwsAuthError, clockSkew, denied, noNetwork, serviceFailed, sessionExpired, wrongKey } from "../errors.ts";
import type { LoadContext } from "./load-context.ts";
import { isNetworkError, networkDetail } from "./network.ts";
import { describeSource, profileOf, type Credentials, type Source } from "./source.ts";

/** The provider's code of an SDK error, e.g. `ExpiredToken`; the class name where it has no code. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const code: unknown = Reflect.get(error, "Code");
  return typeof code === "string" ? code : error.name;
}

const WRONG_KEY = new Set(["InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"]);
const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]);
const SKEWED = new Set(["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"]);
const DENIED = new Set(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"]);

/** Turns what a call to STS threw into an AwsAuthError; errors of ours and aborts pass through. */
export function explainStsError(
  error: unknown,
  call: {
    readonly action: string;
    readonly resource?: string;
    readonly source: Source;
    readonly credentials: Credentials;
    readonly context: LoadContext;
  },
): unknown {
  const { source, credentials, context } = call;
  if (error instanceof AwsAuthError || context.signal.aborted) return error;
  const code = errorCode(error);
  const detail = `${call.action}: ${code === "" ? "" : `[${code}] `}${error instanceof Error ? error.message : String(error)}`;
  if (isNetworkError(error)) {
    const host = new URL(context.endpoint("sts", context.region)).host;
    return noNetwork(host, networkDetail(error), { cause: error });
  }
  if (EXPIRED.has(code)) return sessionExpired(describeSource(source), renewals(source));
  if (SKEWED.has(code) || (code === "SignatureDoesNotMatch" && /Signature (?:expired|not yet current)/u.test(detail))) {
    return clockSkew(context.time.skewMs, detail);
  }
  if (WRONG_KEY.has(code) || code === "SignatureDoesNotMatch" || code === "IncompleteSignature") {
    return wrongKey(describeSource(source), credentials.accessKeyId, detail);
  }
  if (DENIED.has(code)) return denied(call.action, principalIn(detail, source), detail, call.resource);
  return serviceFailed(call.action, detail, { cause: error });
}

/** AWS names the caller in most denials: `User: arn:… is not authorized to perform: …`. */
function principalIn(detail: string, source: Source): string {
  return /User: (arn:\S+)/u.exec(detail)?.[1] ?? `the caller from ${describeSource(source)}`;
}

/** What gets new keys, for keys that we cannot renew ourselves. */
export function renewals(source: Source): readonly string[] {
  const profile = profileOf(source);
  const option = profile === undefined || profile === "default" ? "" : ` --profile ${profile}`;
  switch (source.kind) {
    case "env":
      return ["aws-vault exec <profile> -- sky check aws  # Or whatever has set AWS_SESSION_TOKEN."];
    case "shared-credentials-file":
    case "config-file":
      return [
        `aws configure set aws_access_key_id <new id>${option}`,
        `aws configure set aws_secret_access_key <new key>${option}`,
        `aws configure set aws_session_token <new token>${option}`,
      ];
    case "custom-process":
      return [source.command];
    case "login":
      return [`aws login${option}`];
    case "assume-role":
      return renewals(source.base);
    case "sso":
    case "assume-role-with-web-identity":
    case "container-role":
    case "iam-role":
      return [`sky aws login${option}`];
  }
}
