import { describe, expect, it } from "vitest";
import { systemClock } from "../../../shared/clock.ts";
import { Secret } from "../../../shared/secret.ts";
import { AwsAuthError } from "../errors.ts";
import type { LoadContext } from "./load-context.ts";
import { openAgents } from "./network.ts";
import { ServerTime } from "./server-time.ts";
import { explainStsError } from "./sts-errors.ts";

const environment = { home: "/home/me", env: {} };
const context: LoadContext = {
  environment,
  agents: openAgents(environment),
  time: new ServerTime(systemClock),
  region: "us-east-1",
  endpoint: (service, region) => `https://${service}.${region}.amazonaws.com`,
  signal: new AbortController().signal,
  credentialsOf: () => Promise.reject(new Error("not asked")),
};
const keys = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: new Secret("canary") };

function explain(error: unknown): unknown {
  const call = { action: "sts:GetCallerIdentity", source: { kind: "env", keys }, credentials: keys, context } as const;
  return explainStsError(error, call);
}

function coded(name: string, message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), { name, ...fields });
}

describe("explainStsError", () => {
  it.each([
    ["ExpiredToken", "it is expired", "session-expired"],
    ["ExpiredTokenException", "it is expired", "session-expired"],
    ["InvalidClientTokenId", "it is invalid", "wrong-key"],
    ["UnrecognizedClientException", "it is invalid", "wrong-key"],
    ["SignatureDoesNotMatch", "The request signature we calculated does not match", "wrong-key"],
    ["SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than …", "clock-skew"],
    ["SignatureDoesNotMatch", "Signature not yet current: 20260101T000000Z …", "clock-skew"],
    ["RequestTimeTooSkewed", "The difference is too large", "clock-skew"],
    ["AccessDenied", "User: arn:aws:iam::1:user/a is not authorized", "denied"],
    ["ThrottlingException", "Rate exceeded", "service"],
  ])("%s (%s) is %s", (code, message, failure) => {
    const error = explain(coded(code, message));
    expect(error).toBeInstanceOf(AwsAuthError);
    expect(error).toMatchObject({ failure });
    expect(JSON.stringify(error) + String(error)).not.toContain("canary");
  });

  it.each([
    ["ENOTFOUND", "sts.us-east-1.amazonaws.com cannot be reached: the name is not known (DNS)."],
    ["ECONNREFUSED", "sts.us-east-1.amazonaws.com cannot be reached: the connection is refused."],
    ["ENETUNREACH", "sts.us-east-1.amazonaws.com cannot be reached: there is no network."],
    ["EPROTO", "sts.us-east-1.amazonaws.com cannot be reached: it does not speak TLS."],
    ["CERT_HAS_EXPIRED", "sts.us-east-1.amazonaws.com cannot be reached: its certificate has expired."],
    [
      "SELF_SIGNED_CERT_IN_CHAIN",
      "sts.us-east-1.amazonaws.com cannot be reached: its certificate is not trusted (to trust the one of a proxy: export AWS_CA_BUNDLE=<file>).",
    ],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "sts.us-east-1.amazonaws.com cannot be reached: not for this host."],
  ])("%s names the host", (code, message) => {
    expect(explain(coded("Error", "not for this host", { code }))).toMatchObject({ failure: "network", message });
  });

  it("finds the cause of an error that wraps others", () => {
    const refused = new AggregateError([coded("Error", "connect", { code: "ECONNREFUSED" })], "");
    expect(explain(refused)).toMatchObject({ failure: "network" });
  });

  it("gives our own errors back", () => {
    const error = new AwsAuthError("denied", "No.");
    expect(explain(error)).toBe(error);
  });
});
