import {
  AwsAuthError,
  clockSkew,
  denied,
  noNetwork,
  serviceFailed,
  sessionExpired,
  tokenMissing,
  wrongKey,
} from "../errors.ts";
import type { LoadContext } from "./load-context.ts";
import { isNetworkError, networkDetail } from "../../../platform/network-error.ts";
import { describeSource, profileOf, type Credentials, type Source } from "./source.ts";

/** The provider's code of an SDK error, e.g. `ExpiredToken`; the class name where it has no code. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const code: unknown = Reflect.get(error, "Code");
  return typeof code === "string" ? code : error.name;
}

const WRONG_KEY = new Set([
  "AuthFailure",
  "IncompleteSignature",
  "InvalidAccessKeyId",
  "InvalidClientTokenId",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
]);
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
  const words = `${code === "" ? "" : `[${code}] `}${error instanceof Error ? error.message : String(error)}`;
  const detail = `${call.action}: ${words}`;
  if (isNetworkError(error)) {
    const host = new URL(context.endpoint("sts", context.region)).host;
    return noNetwork(host, networkDetail(error), { cause: error });
  }
  if (EXPIRED.has(code)) return sessionExpired(describeSource(source), renewals(source));
  if (SKEWED.has(code) || (code === "SignatureDoesNotMatch" && /Signature (?:expired|not yet current)/u.test(detail))) {
    return clockSkew(context.time.skewMs, detail);
  }
  if (WRONG_KEY.has(code)) return explainKey(source, credentials, detail);
  if (DENIED.has(code)) return denied(call.action, principalIn(detail, source), words, call.resource);
  return serviceFailed(call.action, words, { cause: error });
}

function explainKey(source: Source, { accessKeyId, sessionToken }: Credentials, detail: string): AwsAuthError {
  const where = describeSource(source);
  // Ids of session keys begin with ASIA.
  return accessKeyId.startsWith("ASIA") && sessionToken === undefined
    ? tokenMissing(where, accessKeyId, tokenSetters(source))
    : wrongKey(where, accessKeyId, detail);
}

function tokenSetters(source: Source): readonly string[] {
  if (source.kind === "env") return ["export AWS_SESSION_TOKEN=<token>"];
  const isFile = source.kind === "shared-credentials-file" || source.kind === "config-file";
  return isFile ? renewals(source).slice(-1) : renewals(source);
}

/** AWS names the caller in most denials: `User: arn:… is not authorized to perform: …`. */
function principalIn(detail: string, source: Source): string {
  return /User: (arn:\S+)/u.exec(detail)?.[1] ?? `the caller from ${describeSource(source)}`;
}

/** What gets new keys; nothing for those that a service of the machine gives out. */
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
      return [`sky aws login${option}`];
    case "assume-role-with-web-identity":
    case "container-role":
    case "iam-role":
      return [];
  }
}
