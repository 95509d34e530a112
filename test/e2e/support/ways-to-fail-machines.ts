import {
  type WayToFail,
  CORRECT,
  RENEW,
  CONTAINER,
  INSTANCE,
  NETWORK,
  role,
  inHours,
  config,
  ssoConfig,
} from "./way-to-fail.ts";

export const machineCredentials: readonly WayToFail[] = [
  {
    name: "a web identity whose token file is not there",
    prepare: (world) => ({
      AWS_WEB_IDENTITY_TOKEN_FILE: `${world.sandbox.home}/keys/token`,
      AWS_ROLE_ARN: role("web"),
    }),
    reason: `The web identity for the role ${role("web")} is not accepted: there is no token file ~/keys/token. ${RENEW}`,
    repair: (world, env) => {
      world.write("keys/token", "good-token");
      return env;
    },
  },
  {
    name: "a web identity whose token is old",
    prepare: (world) => ({
      AWS_WEB_IDENTITY_TOKEN_FILE: world.write("keys/old", "old-token"),
      AWS_ROLE_ARN: role("web"),
    }),
    reason: `The web identity for the role ${role("web")} is not accepted: the token in ~/keys/old has expired. Token expired: current date/time must be before the expiration date/time. ${RENEW}`,
    repair: (world, env) => {
      world.write("keys/old", "good-token");
      return env;
    },
  },
  {
    name: "a web identity that the role does not trust",
    prepare: (world) => ({
      AWS_WEB_IDENTITY_TOKEN_FILE: world.write("keys/strange", "strange-token"),
      AWS_ROLE_ARN: role("web"),
    }),
    reason: `The web identity for the role ${role("web")} is not accepted: No OpenIDConnect provider found in your account. Check that the role's trust policy names the identity provider, audience and subject of the token.`,
  },
  {
    name: "a web identity without a role",
    prepare: (world) => ({ AWS_WEB_IDENTITY_TOKEN_FILE: world.write("keys/token", "good-token") }),
    reason: `Invalid AWS configuration. A web identity token file is set (~/keys/token), but neither AWS_ROLE_ARN nor role_arn. ${CORRECT}`,
  },
  {
    name: "a credential_process that fails",
    prepare: config("[profile p]\ncredential_process = sh -c 'echo \"not today\" >&2; exit 3'\n", { AWS_PROFILE: "p" }),
    reason: `The credential_process of AWS profile 'p' failed: it ended with code 3: not today. Run the following command:
      $ sh -c 'echo "not today" >&2; exit 3'`,
  },
  {
    name: "a credential_process that says nothing of use",
    prepare: config("[profile p]\ncredential_process = echo hello\n", { AWS_PROFILE: "p" }),
    reason:
      "The credential_process of AWS profile 'p' failed: its output is not a JSON object. Run the following command:\n      $ echo hello",
  },
  {
    name: "a credential_process of another version",
    prepare: config(`[profile p]\ncredential_process = echo '{"Version":2}'\n`, { AWS_PROFILE: "p" }),
    reason: `The credential_process of AWS profile 'p' failed: its output has Version 2, not 1. Run the following command:\n      $ echo '{"Version":2}'`,
  },
  {
    name: "a credential_process without a key",
    prepare: config(`[profile p]\ncredential_process = echo '{"Version":1,"AccessKeyId":"AKIA"}'\n`, {
      AWS_PROFILE: "p",
    }),
    reason: `The credential_process of AWS profile 'p' failed: its output has no SecretAccessKey. Run the following command:\n      $ echo '{"Version":1,"AccessKeyId":"AKIA"}'`,
  },
  {
    name: "a credential_process that is not there",
    prepare: config("[profile p]\ncredential_process = no-such-program-here --now\n", { AWS_PROFILE: "p" }),
    reason:
      "The credential_process of AWS profile 'p' failed: there is no program no-such-program-here. Run the following command:\n      $ no-such-program-here --now",
  },
  {
    name: "a credential_process whose keys have ended",
    prepare: config(
      `[profile p]\ncredential_process = echo '{"Version":1,"AccessKeyId":"ASIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2020-01-01T00:00:00Z"}'\n`,
      { AWS_PROFILE: "p" },
    ),
    reason: `The temporary AWS credentials from credential_process of profile 'p' have expired. Run the following command:\n      $ echo '{"Version":1,"AccessKeyId":"ASIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2020-01-01T00:00:00Z"}'`,
  },
  {
    name: "a container endpoint that wants a token",
    prepare: (world) => {
      world.signIn.containerToken = "task-token";
      return { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.signIn.url}/container` };
    },
    reason: `The container credentials endpoint http://SIGN-IN/container gave no credentials: it answers 403: Invalid authorization token. ${CONTAINER}`,
    repair: (_world, env) => ({ ...env, AWS_CONTAINER_AUTHORIZATION_TOKEN: "task-token" }),
  },
  {
    name: "a container endpoint whose token file is not there",
    prepare: (world) => ({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.signIn.url}/container`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: `${world.sandbox.home}/keys/pod`,
    }),
    reason: `The container credentials endpoint http://SIGN-IN/container gave no credentials: there is no token file ~/keys/pod. ${CONTAINER}`,
    repair: (world, env) => {
      world.write("keys/pod", "pod-token");
      return env;
    },
  },
  {
    name: "a container endpoint on another machine",
    prepare: () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://credentials.example/keys" }),
    reason: `The container credentials endpoint http://credentials.example/keys gave no credentials: only https, a loopback address or one of 169.254.170.2, 169.254.170.23, [fd00:ec2::23], localhost is allowed. ${CONTAINER}`,
  },
  {
    name: "a container endpoint that is down",
    prepare: () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://127.0.0.1:9/keys" }),
    reason: `The container credentials endpoint http://127.0.0.1:9/keys gave no credentials: 127.0.0.1:9 cannot be reached: the connection is refused. ${CONTAINER}`,
  },
  {
    name: "an instance without a role",
    prepare: (world) => {
      world.signIn.instanceRole = undefined;
      return {};
    },
    reason: `The instance metadata service gave no credentials: no role is attached to this instance. ${INSTANCE}`,
    repair: (world) => {
      world.signIn.instanceRole = "node";
      return {};
    },
  },
];

export const brokenNetwork: readonly WayToFail[] = [
  {
    name: "no network",
    prepare: (world) => ({ ...world.annEnv(), AWS_ENDPOINT_URL: "http://127.0.0.1:9" }),
    reason: `127.0.0.1:9 cannot be reached: the connection is refused. ${NETWORK}`,
    repair: (world) => world.annEnv(),
  },
  {
    name: "no network to the SSO portal",
    prepare: (world) => {
      world.write(".aws/config", ssoConfig("cut"));
      world.writeSsoToken("corp", { accessToken: "t", expiresAt: inHours(8) });
      return { AWS_PROFILE: "cut", AWS_ENDPOINT_URL_SSO: "http://127.0.0.1:9" };
    },
    reason: `127.0.0.1:9 cannot be reached: the connection is refused. ${NETWORK}`,
  },
  {
    name: "a server that does not speak TLS",
    prepare: (world) => ({ ...world.annEnv(), AWS_ENDPOINT_URL: world.front.url.replace("http:", "https:") }),
    reason: `AWS cannot be reached: it does not speak TLS. ${NETWORK}`,
  },
  {
    name: "a bundle of certificates that is not there",
    prepare: (world) => ({ ...world.annEnv(), AWS_CA_BUNDLE: "~/keys/ca.pem" }),
    reason:
      "~/keys/ca.pem cannot be read: AWS_CA_BUNDLE names it, but there is no such file. Correct the file, then run: sky check aws",
  },
];
