import { readFileSync } from "node:fs";
import { Secret } from "../../../shared/secret.ts";
import { webIdentityFailed } from "../errors.ts";
import type { LoadContext } from "./load-context.ts";
import { SESSION_NAME } from "./load-role.ts";
import type { Credentials, WebIdentitySource } from "./source.ts";
import { assumeRoleWithWebIdentity } from "./sts.ts";
import { errorCode, explainStsError } from "./sts-errors.ts";

const TRUST = "Check that the role's trust policy names the identity provider, audience and subject of the token.";
const RENEW = "Whatever writes the token file (EKS, the CI system) has to renew it; then run: sky check aws";

/** Exchanges the token in a file for a role, as EKS pods and CI jobs do. Throws AwsAuthError. */
export async function loadWebIdentity(source: WebIdentitySource, context: LoadContext): Promise<Credentials> {
  const token = readToken(source);
  try {
    return await assumeRoleWithWebIdentity(
      { roleArn: source.roleArn, sessionName: source.sessionName ?? SESSION_NAME, token },
      context,
    );
  } catch (error) {
    throw explain(error, source, context);
  }
}

function readToken(source: WebIdentitySource): Secret {
  try {
    return new Secret(readFileSync(source.tokenFile, "utf8").trim());
  } catch {
    throw webIdentityFailed(source.roleArn, `there is no token file ${source.tokenFile}.`, RENEW);
  }
}

function explain(error: unknown, source: WebIdentitySource, context: LoadContext): unknown {
  const detail = error instanceof Error ? error.message : String(error);
  switch (errorCode(error)) {
    case "ExpiredTokenException":
    case "ExpiredToken":
      return webIdentityFailed(source.roleArn, `the token in ${source.tokenFile} has expired. ${detail}`, RENEW);
    case "InvalidIdentityToken":
    case "InvalidIdentityTokenException":
    case "IDPRejectedClaim":
    case "IDPCommunicationError":
    case "AccessDenied":
      return webIdentityFailed(source.roleArn, detail, TRUST);
    default: {
      const unsigned = { accessKeyId: "", secretAccessKey: new Secret("") };
      return explainStsError(error, {
        action: "sts:AssumeRoleWithWebIdentity",
        resource: source.roleArn,
        source,
        credentials: unsigned,
        context,
      });
    }
  }
}
