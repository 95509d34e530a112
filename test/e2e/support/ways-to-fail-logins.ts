import { EXTERNAL_ID, LEGACY_SSO, LOGIN_SESSION, MFA_DEVICE, START_URL } from "./aws-world.ts";
import {
  type WayToFail,
  MORE,
  STATIC,
  HOUR_MS,
  role,
  inHours,
  ssoRepair,
  one,
  config,
  configure,
  login,
  ssoConfig,
} from "./way-to-fail.ts";

export const missingLogins: readonly WayToFail[] = [
  {
    name: "SSO that nobody has logged in to",
    prepare: config(ssoConfig("new"), { AWS_PROFILE: "new" }),
    reason: `AWS profile 'new' uses IAM Identity Center (corp), and nobody has logged in yet. ${ssoRepair("new")}`,
    repair: login,
  },
  {
    name: "legacy SSO that nobody has logged in to",
    prepare: config(`[default]\n${LEGACY_SSO}`),
    reason: `AWS profile 'default' uses IAM Identity Center (${START_URL}), and nobody has logged in yet. ${ssoRepair("default")}`,
    repair: login,
  },
  {
    name: "an SSO login that has ended and cannot be renewed",
    prepare: (world) => {
      world.signIn.canRefresh = false;
      world.write(".aws/config", ssoConfig("ended"));
      world.writeSsoToken("corp", {
        accessToken: "ended",
        expiresAt: inHours(-1),
        refreshToken: "r",
        clientId: "c",
        clientSecret: "s",
        registrationExpiresAt: inHours(100),
      });
      return { AWS_PROFILE: "ended" };
    },
    reason: `AWS access token is expired (SSO profile 'ended'). ${ssoRepair("ended")}`,
    repair: login,
  },
  {
    name: "a legacy SSO login that has ended",
    prepare: (world) => {
      world.write(".aws/config", `[profile old]\n${LEGACY_SSO}`);
      world.writeSsoToken(START_URL, { accessToken: "ended", expiresAt: inHours(-1) });
      return { AWS_PROFILE: "old" };
    },
    reason: `AWS access token is expired (SSO profile 'old'). ${ssoRepair("old")}`,
    repair: login,
  },
  {
    name: "an SSO login that was ended elsewhere",
    prepare: (world) => {
      world.write(".aws/config", ssoConfig("revoked"));
      world.writeSsoToken("corp", { accessToken: "revoked", expiresAt: inHours(8) });
      return { AWS_PROFILE: "revoked" };
    },
    reason: `AWS access token is expired (SSO profile 'revoked'). ${ssoRepair("revoked")}`,
    repair: login,
  },
  {
    name: "an SSO role that the user does not have",
    prepare: (world) => {
      world.write(".aws/config", ssoConfig("boss").replace("sso_role_name = Admin", "sso_role_name = Boss"));
      world.signIn.ssoToken = "t";
      world.writeSsoToken("corp", { accessToken: "t", expiresAt: inHours(8) });
      return { AWS_PROFILE: "boss" };
    },
    reason: `IAM Identity Center refuses the role Boss in account 123456789012 (profile 'boss'): No access. ${one("sky aws configure-sso --profile boss", "cli-configure-sso")}
    It lists the accounts and roles that you may use.`,
    repair: async (world, env) => {
      await world.sky(["aws", "configure-sso", "--profile", "boss", "--no-browser"], {}, { stdin: "1\n1\n" });
      return env;
    },
  },
  {
    name: "aws login that nobody has done",
    prepare: config(`[default]\nlogin_session = ${LOGIN_SESSION}-2\n`),
    reason: `AWS profile 'default' uses \`aws login\`, and nobody has logged in yet. ${one("aws login", "cli-configure-sign-in")}`,
    repair: async (world) => {
      world.write(".aws/config", `[default]\nlogin_session = ${LOGIN_SESSION}\n`);
      await world.writeLogin(HOUR_MS);
      return {};
    },
  },
  ...(
    [
      ["TOKEN_EXPIRED", "the session has expired."],
      ["USER_CREDENTIALS_CHANGED", "the password has changed."],
      ["INSUFFICIENT_PERMISSIONS", "the permission signin:CreateOAuth2Token is missing."],
      ["SOMETHING_NEW", "AWS refuses to renew it (SOMETHING_NEW)."],
    ] as const
  ).map(([code, detail]): WayToFail => {
    const profile = code.toLowerCase();
    return {
      name: `aws login that is over: ${code}`,
      prepare: async (world) => {
        world.write(".aws/config", `[profile ${profile}]\nlogin_session = ${LOGIN_SESSION}\n`);
        world.signIn.loginRefusal = code;
        await world.writeLogin(1000);
        return { AWS_PROFILE: profile };
      },
      reason: `The \`aws login\` session of profile '${profile}' is over: ${detail} ${one(`aws login --profile ${profile}`, "cli-configure-sign-in")}`,
      repair: async (world, env) => {
        await world.writeLogin(HOUR_MS);
        return env;
      },
    };
  }),
];

export const refusedKeys: readonly WayToFail[] = [
  {
    name: "a key that there is not",
    prepare: () => ({ AWS_ACCESS_KEY_ID: "AKIANOBODY1234", AWS_SECRET_ACCESS_KEY: "s" }),
    reason: `Failed to access AWS services with credentials. Make sure that the access and secret keys are correct. The key ****1234 comes from the environment (AWS_ACCESS_KEY_ID). ${STATIC}
    Details: sts:GetCallerIdentity: [InvalidClientTokenId] The security token included in the request is invalid.`,
    repair: (world) => world.annEnv(),
  },
  {
    name: "a wrong secret",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default").replace(/(secret_access_key = ).*/u, "$1wrong"));
      return {};
    },
    reason: `Failed to access AWS services with credentials. Make sure that the access and secret keys are correct. The key ****LAST comes from profile 'default' in ~/.aws/credentials. ${STATIC}
    Details: sts:GetCallerIdentity: [SignatureDoesNotMatch] The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.`,
    repair: configure,
  },
  {
    name: "a session without its token",
    prepare: () => ({ AWS_ACCESS_KEY_ID: "ASIASESSION0LAST", AWS_SECRET_ACCESS_KEY: "s" }),
    reason: `The key ****LAST from the environment (AWS_ACCESS_KEY_ID) belongs to a temporary session, and the session token is missing. Run the following command:
      $ export AWS_SESSION_TOKEN=<token>`,
  },
  {
    name: "a session without its token in a file",
    prepare: (world) => {
      const keys = "aws_access_key_id = ASIASESSION0LAST\naws_secret_access_key = s\n";
      world.write(".aws/credentials", `[tmp]\n${keys}`);
      return { AWS_PROFILE: "tmp" };
    },
    reason: `The key ****LAST from profile 'tmp' in ~/.aws/credentials belongs to a temporary session, and the session token is missing. Run the following command:
      $ aws configure set aws_session_token <new token> --profile tmp`,
  },
  {
    name: "session keys in variables that have ended",
    prepare: async (world) => {
      const made = await world.session("dev-session", "x");
      world.front.ended.add(made.id);
      return {
        AWS_ACCESS_KEY_ID: made.id,
        AWS_SECRET_ACCESS_KEY: made.secret,
        AWS_SESSION_TOKEN: made.token,
      };
    },
    reason: `The temporary AWS credentials from the environment (AWS_ACCESS_KEY_ID) have expired. Run the following command:
      $ aws-vault exec <profile> -- sky check aws  # Or whatever has set AWS_SESSION_TOKEN.`,
  },
  {
    name: "session keys in variables that are known to have ended",
    prepare: async (world) => {
      const made = await world.session("dev-session", "x");
      return {
        AWS_ACCESS_KEY_ID: made.id,
        AWS_SECRET_ACCESS_KEY: made.secret,
        AWS_SESSION_TOKEN: made.token,
        AWS_CREDENTIAL_EXPIRATION: inHours(-1),
      };
    },
    reason: `The temporary AWS credentials from the environment (AWS_ACCESS_KEY_ID) have expired. Run the following command:
      $ aws-vault exec <profile> -- sky check aws  # Or whatever has set AWS_SESSION_TOKEN.`,
  },
  {
    name: "session keys in a file that have ended",
    prepare: async (world) => {
      const made = await world.session("dev-session", "x");
      world.front.ended.add(made.id);
      world.write(
        ".aws/credentials",
        `[tmp]\naws_access_key_id = ${made.id}\naws_secret_access_key = ${made.secret}\naws_session_token = ${made.token}\n`,
      );
      return { AWS_PROFILE: "tmp" };
    },
    reason: `The temporary AWS credentials from profile 'tmp' in ~/.aws/credentials have expired. Run the following commands:
      $ aws configure set aws_access_key_id <new id> --profile tmp
      $ aws configure set aws_secret_access_key <new key> --profile tmp
      $ aws configure set aws_session_token <new token> --profile tmp`,
  },
  {
    name: "a role whose source has ended",
    prepare: async (world) => {
      const made = await world.session("dev-session", "x");
      world.front.ended.add(made.id);
      world.write(".aws/config", `[profile a]\nrole_arn = ${role("dev")}\ncredential_source = Environment\n`);
      world.write(".sky/config.yaml", "workspaces:\n  default:\n    aws:\n      profile: a\n");
      return {
        AWS_ACCESS_KEY_ID: made.id,
        AWS_SECRET_ACCESS_KEY: made.secret,
        AWS_SESSION_TOKEN: made.token,
      };
    },
    reason: `The temporary AWS credentials from the environment (AWS_ACCESS_KEY_ID) have expired. Run the following command:
      $ aws-vault exec <profile> -- sky check aws  # Or whatever has set AWS_SESSION_TOKEN.`,
  },
  {
    name: "a role that may not be assumed",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(".aws/config", `[profile d]\nrole_arn = ${role("deploy")}\nsource_profile = default\n`);
      return { AWS_PROFILE: "d" };
    },
    reason: `AWS denies sts:AssumeRole on ${role("deploy")} to arn:aws:iam::123456789012:user/ann: [AccessDenied] User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sts:AssumeRole. Ask an administrator to allow it:
      {"Effect":"Allow","Action":"sts:AssumeRole","Resource":"${role("deploy")}"}
    The trust policy of the role must name the caller too, and external_id be what it asks for.
    For more info: ${MORE}/cli-configure-role.html`,
  },
  {
    name: "a role with the wrong external id",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(
        ".aws/config",
        `[profile e]\nrole_arn = ${role("dev")}\nsource_profile = default\nexternal_id = ${EXTERNAL_ID}0\n`,
      );
      return { AWS_PROFILE: "e" };
    },
    reason: `AWS denies sts:AssumeRole on ${role("dev")} to arn:aws:iam::123456789012:user/ann: [AccessDenied] User: arn:aws:iam::123456789012:user/ann is not authorized to perform: sts:AssumeRole. Ask an administrator to allow it:
      {"Effect":"Allow","Action":"sts:AssumeRole","Resource":"${role("dev")}"}
    The trust policy of the role must name the caller too, and external_id be what it asks for.
    For more info: ${MORE}/cli-configure-role.html`,
    repair: (world, env) => {
      world.write(".aws/config", world.read(".aws/config").replace(`${EXTERNAL_ID}0`, EXTERNAL_ID));
      return env;
    },
  },
  {
    name: "a role that needs an MFA code",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("base"));
      world.write(
        ".aws/config",
        `[profile guarded]\nrole_arn = ${role("guarded")}\nsource_profile = base\nmfa_serial = ${MFA_DEVICE}\n`,
      );
      return { AWS_PROFILE: "guarded" };
    },
    reason: `The role ${role("guarded")} (profile 'guarded') needs a code of the MFA device ${MFA_DEVICE}. ${one("sky aws login --profile guarded", "cli-configure-role")}`,
    repair: async (world, env) => {
      await world.login(["--profile", "guarded"], { code: true });
      return env;
    },
  },
  {
    name: "AWS that has an error of its own",
    prepare: (world) => {
      world.front.broken.add("GetCallerIdentity");
      return world.annEnv();
    },
    reason: `sts:GetCallerIdentity failed: [InternalFailure] Try later. If AWS has trouble (https://health.aws.amazon.com/health/status), wait for it; then run: sky check aws`,
    repair: (world, env) => {
      world.front.broken.clear();
      return env;
    },
  },
];
