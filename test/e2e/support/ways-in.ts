import { createHash } from "node:crypto";
import type { SourceKind } from "../../../src/clouds/aws/auth/source.ts";
import {
  EXTERNAL_ID,
  LEGACY_SSO,
  LOGIN_SESSION,
  MFA_CODE,
  MFA_DEVICE,
  SSO_ROLE,
  SSO_SESSION,
  START_URL,
  type AwsWorld,
  type Env,
} from "./aws-world.ts";

/** A way to sign in, and what `sky check aws -v` says of it. */
export interface WayIn {
  readonly name: string;
  /** Puts the user's files there, and gives the variables of the user's shell. */
  readonly prepare: (world: AwsWorld) => Env | Promise<Env>;
  readonly account: string;
  readonly kind: SourceKind;
  /** Absent = never. */
  readonly ends?: string;
  readonly source: string;
  readonly profile?: string;
  readonly region?: string;
  /** What the hint says is set. */
  readonly hint?: string;
  /** How the hint goes on where it is not the usual way. */
  readonly other?: string;
  /** The credentials belong to the machine, not to a shell: the official client has them too when its server has. */
  readonly isOfMachine?: boolean;
  /** The original has no such setting. */
  readonly isOurs?: boolean;
}

const HOUR_MS = 3_600_000;
const ANN = "AIDA(ann)";
const DEV = "role arn:aws:iam::123456789012:role/dev (profile 'dev')";
const DEV_ROLE = `role_arn = arn:aws:iam::123456789012:role/dev\nexternal_id = ${EXTERNAL_ID}\n`;
const STATIC_FILE =
  " To ensure S3 mounting and other features work correctly on Kubernetes and other clouds, please use SkyPilot with static AWS credentials (e.g., ~/.aws/credentials) by unsetting the AWS_PROFILE environment variable.";

function role(name: string): string {
  return `arn:aws:iam::123456789012:role/${name}`;
}

function inHours(hours: number): string {
  return new Date(Date.now() + hours * HOUR_MS).toISOString();
}

function keys(made: { readonly id: string; readonly secret: string; readonly token: string }): Env {
  return { AWS_ACCESS_KEY_ID: made.id, AWS_SECRET_ACCESS_KEY: made.secret, AWS_SESSION_TOKEN: made.token };
}

/** A login of this moment. */
function logIn(world: AwsWorld, key: string): void {
  world.signIn.ssoToken = "token-of-the-login";
  world.writeSsoToken(key, { accessToken: "token-of-the-login", expiresAt: inHours(8) });
}

export const waysIn: readonly WayIn[] = [
  {
    name: "keys in variables",
    prepare: (world) => world.annEnv(),
    account: ANN,
    kind: "env",
    source: "the environment (AWS_ACCESS_KEY_ID)",
    hint: "AWS env",
  },
  {
    name: "keys of a session in variables",
    prepare: async (world) => keys(await world.session("dev-session", "ann")),
    account: "AROA(dev-session):ann",
    kind: "env",
    source: "the environment (AWS_ACCESS_KEY_ID)",
    hint: "AWS env",
  },
  {
    name: "what aws-vault sets",
    prepare: async (world) => {
      const made = await world.session("dev-session", "ann");
      return { ...keys(made), AWS_CREDENTIAL_EXPIRATION: made.expires, AWS_REGION: "eu-west-1", AWS_VAULT: "work" };
    },
    account: "AROA(dev-session):ann",
    kind: "env",
    ends: "1 h",
    source: "the environment (AWS_ACCESS_KEY_ID)",
    region: "eu-west-1",
    hint: "AWS env",
  },
  {
    name: "the default profile of the credentials file",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(".aws/config", "[default]\nregion = us-west-2\n");
      return {};
    },
    account: ANN,
    kind: "shared-credentials-file",
    source: "profile 'default' in ~/.aws/credentials",
    profile: "default",
    region: "us-west-2",
    isOfMachine: true,
  },
  {
    name: "a profile that AWS_PROFILE names",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("work"));
      return { AWS_PROFILE: "work" };
    },
    account: ANN,
    kind: "shared-credentials-file",
    source: "profile 'work' in ~/.aws/credentials",
    profile: "work",
  },
  {
    name: "a profile that AWS_DEFAULT_PROFILE names",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("work"));
      return { AWS_DEFAULT_PROFILE: "work", AWS_PROFILE: "other" };
    },
    account: ANN,
    kind: "shared-credentials-file",
    source: "profile 'work' in ~/.aws/credentials",
    profile: "work",
  },
  {
    name: "a profile that the workspace names",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("work"));
      world.write(".sky/config.yaml", "workspaces:\n  default:\n    aws:\n      profile: work\n");
      return { AWS_PROFILE: "does-not-count" };
    },
    account: ANN,
    kind: "shared-credentials-file",
    source: "profile 'work' in ~/.aws/credentials",
    profile: "work",
  },
  {
    name: "a profile that the config names for all workspaces",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("work"));
      world.write(".sky/config.yaml", "aws:\n  profile: work\n");
      return { AWS_PROFILE: "does-not-count" };
    },
    isOurs: true,
    account: ANN,
    kind: "shared-credentials-file",
    source: "profile 'work' in ~/.aws/credentials",
    profile: "work",
  },
  {
    name: "files in another place",
    prepare: (world) => ({
      AWS_SHARED_CREDENTIALS_FILE: world.write("keys/mine", world.keysOf("default")),
      AWS_CONFIG_FILE: world.write("keys/config", "[default]\nregion = us-west-1\n"),
    }),
    account: ANN,
    kind: "shared-credentials-file",
    source: "profile 'default' in ~/keys/mine",
    profile: "default",
    region: "us-west-1",
  },
  {
    name: "keys in the config file",
    prepare: (world) => {
      world.write(".aws/config", world.keysOf("profile work"));
      return { AWS_PROFILE: "work" };
    },
    account: ANN,
    kind: "config-file",
    source: "profile 'work' in ~/.aws/config",
    profile: "work",
  },
  {
    name: "SSO",
    prepare: (world) => {
      world.write(".aws/config", `[profile dev]\nsso_session = corp\n${SSO_ROLE}region = us-east-2\n${SSO_SESSION}`);
      logIn(world, "corp");
      return { AWS_PROFILE: "dev" };
    },
    account: "AROA(AWSReservedSSO_Admin_0):ann@example.com",
    kind: "sso",
    ends: "1 h",
    source: `sso-session corp at ${START_URL} (profile 'dev')`,
    profile: "dev",
    region: "us-east-2",
    hint: "AWS SSO",
  },
  {
    name: "SSO whose token has to be renewed, beside a file of keys",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(".aws/config", `[profile renewed]\nsso_session = corp\n${SSO_ROLE}${SSO_SESSION}`);
      world.writeSsoToken("corp", {
        accessToken: "token-that-has-ended",
        expiresAt: inHours(-1),
        refreshToken: "r",
        clientId: "client",
        clientSecret: "s",
        registrationExpiresAt: inHours(100),
      });
      return { AWS_PROFILE: "renewed" };
    },
    account: "AROA(AWSReservedSSO_Admin_0):ann@example.com",
    kind: "sso",
    ends: "1 h",
    source: `sso-session corp at ${START_URL} (profile 'renewed')`,
    profile: "renewed",
    hint: "AWS SSO",
    other: STATIC_FILE,
  },
  {
    name: "SSO in its legacy form",
    prepare: (world) => {
      world.write(".aws/config", `[default]\n${LEGACY_SSO}`);
      world.signIn.ssoToken = "legacy-token";
      // The AWS CLI v1 wrote the time in this way.
      const expiresAt = inHours(8).replace(/\.\d+Z$/u, "UTC");
      world.writeSsoToken(START_URL, { accessToken: "legacy-token", expiresAt });
      return {};
    },
    account: "AROA(AWSReservedSSO_Admin_0):ann@example.com",
    kind: "sso",
    ends: "1 h",
    source: `${START_URL} (profile 'default')`,
    profile: "default",
    hint: "AWS SSO",
  },
  {
    name: "aws login",
    prepare: async (world) => {
      world.write(".aws/config", `[default]\nlogin_session = ${LOGIN_SESSION}\nregion = us-east-1\n`);
      await world.writeLogin(HOUR_MS);
      return {};
    },
    account: "AROA(login):login",
    kind: "login",
    ends: "1 h",
    source: "aws login (profile 'default')",
    profile: "default",
    region: "us-east-1",
    hint: "AWS login",
  },
  {
    name: "aws login, to be renewed",
    prepare: async (world) => {
      world.write(".aws/config", `[profile soon]\nlogin_session = ${LOGIN_SESSION}\n`);
      await world.writeLogin(1000);
      return { AWS_PROFILE: "soon" };
    },
    account: "AROA(login):login",
    kind: "login",
    ends: "15 min",
    source: "aws login (profile 'soon')",
    profile: "soon",
    hint: "AWS login",
  },
  {
    name: "a role with an external id",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(".aws/config", `[profile dev]\n${DEV_ROLE}source_profile = default\n`);
      return { AWS_PROFILE: "dev" };
    },
    account: "AROA(dev):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `${DEV}, assumed with profile 'default' in ~/.aws/credentials`,
    profile: "dev",
    hint: "AWS assume-role",
  },
  {
    name: "a chain of roles",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(
        ".aws/config",
        `[profile dev]\n${DEV_ROLE}source_profile = default\n[profile deploy]\nrole_arn = ${role("deploy")}\nsource_profile = dev\n`,
      );
      return { AWS_PROFILE: "deploy" };
    },
    account: "AROA(deploy):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `role ${role("deploy")} (profile 'deploy'), assumed with ${DEV}, assumed with profile 'default' in ~/.aws/credentials`,
    profile: "deploy",
    hint: "AWS assume-role",
  },
  {
    name: "a role behind MFA, after sky aws login",
    prepare: async (world) => {
      writeGuarded(world);
      await world.sky(["aws", "login", "--profile", "guarded"], {}, { stdin: `${MFA_CODE}\n` });
      return { AWS_PROFILE: "guarded" };
    },
    account: "AROA(guarded):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `role ${role("guarded")} (profile 'guarded'), assumed with profile 'base' in ~/.aws/credentials`,
    profile: "guarded",
    hint: "AWS assume-role",
  },
  {
    name: "a chain of roles whose first is behind MFA, in the session that the AWS CLI keeps",
    prepare: async (world) => {
      const device = `${MFA_DEVICE}-2`;
      writeGuarded(world, {
        device,
        more: `[profile second]\nrole_arn = ${role("second")}\nsource_profile = guarded\n`,
      });
      const made = await world.session("guarded-kept", "botocore-session-1");
      const options = `{"RoleArn": "${role("guarded")}", "SerialNumber": "${device}"}`;
      const Credentials = {
        AccessKeyId: made.id,
        SecretAccessKey: made.secret,
        SessionToken: made.token,
        Expiration: made.expires.replace(/\.\d+Z$/u, "UTC"),
      };
      const name = createHash("sha1").update(options).digest("hex");
      world.write(`.aws/cli/cache/${name}.json`, JSON.stringify({ Credentials }));
      return { AWS_PROFILE: "second" };
    },
    account: "AROA(second):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `role ${role("second")} (profile 'second'), assumed with role ${role("guarded")} (profile 'guarded'), assumed with profile 'base' in ~/.aws/credentials`,
    profile: "second",
    hint: "AWS assume-role",
  },
  {
    name: "a role on top of SSO",
    prepare: (world) => {
      world.write(
        ".aws/config",
        `[profile top]\nrole_arn = ${role("from-sso")}\nsource_profile = sso\n[profile sso]\nsso_session = corp\n${SSO_ROLE}${SSO_SESSION}`,
      );
      logIn(world, "corp");
      return { AWS_PROFILE: "top" };
    },
    account: "AROA(from-sso):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `role ${role("from-sso")} (profile 'top'), assumed with sso-session corp at ${START_URL} (profile 'sso')`,
    profile: "top",
    hint: "AWS assume-role",
  },
  {
    name: "a role on top of the variables",
    prepare: (world) => {
      world.write(".aws/config", `[profile dev]\n${DEV_ROLE}credential_source = Environment\n`);
      world.write(".sky/config.yaml", "workspaces:\n  default:\n    aws:\n      profile: dev\n");
      return world.annEnv();
    },
    account: "AROA(dev):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `${DEV}, assumed with the environment (AWS_ACCESS_KEY_ID)`,
    profile: "dev",
    hint: "AWS assume-role",
  },
  {
    name: "a role on top of the container's",
    prepare: (world) => {
      world.write(".aws/config", `[profile up]\nrole_arn = ${role("from-pod")}\ncredential_source = EcsContainer\n`);
      return { AWS_PROFILE: "up", AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.signIn.url}/container` };
    },
    account: "AROA(from-pod):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `role ${role("from-pod")} (profile 'up'), assumed with the container endpoint http://SIGN-IN/container`,
    profile: "up",
    hint: "AWS assume-role",
  },
  {
    name: "a role on top of the instance's",
    prepare: (world) => {
      world.signIn.instanceRole = "node";
      world.write(
        ".aws/config",
        `[profile up]\nrole_arn = ${role("from-node")}\ncredential_source = Ec2InstanceMetadata\n`,
      );
      return { AWS_PROFILE: "up" };
    },
    account: "AROA(from-node):skypilot",
    kind: "assume-role",
    ends: "1 h",
    source: `role ${role("from-node")} (profile 'up'), assumed with instance metadata`,
    profile: "up",
    hint: "AWS assume-role",
  },
  {
    name: "a credential_process",
    prepare: async (world) => {
      const made = await world.session("dev-session", "from-a-program");
      const answer = {
        Version: 1,
        AccessKeyId: made.id,
        SecretAccessKey: made.secret,
        SessionToken: made.token,
        Expiration: made.expires,
      };
      const file = world.write("keys/answer.json", JSON.stringify(answer));
      world.write(".aws/config", `[profile tool]\ncredential_process = cat "${file}"\n`);
      return { AWS_PROFILE: "tool" };
    },
    account: "AROA(dev-session):from-a-program",
    kind: "custom-process",
    ends: "1 h",
    source: "credential_process of profile 'tool'",
    profile: "tool",
    hint: "AWS custom-process",
  },
  {
    name: "a web identity in variables, as EKS gives it to service accounts",
    prepare: (world) => ({
      AWS_WEB_IDENTITY_TOKEN_FILE: world.write("keys/token", "good-token"),
      AWS_ROLE_ARN: role("web"),
      AWS_ROLE_SESSION_NAME: "pod-1",
    }),
    account: "AROA(web):pod-1",
    kind: "assume-role-with-web-identity",
    ends: "1 h",
    source: `role ${role("web")} with the token in ~/keys/token`,
    hint: "AWS assume-role",
    isOfMachine: true,
  },
  {
    name: "a web identity in a profile",
    prepare: (world) => {
      const file = world.write("keys/token", "good-token\n");
      world.write(".aws/config", `[profile ci]\nrole_arn = ${role("web")}\nweb_identity_token_file = ${file}\n`);
      return { AWS_PROFILE: "ci" };
    },
    account: "AROA(web):skypilot",
    kind: "assume-role-with-web-identity",
    ends: "1 h",
    source: `role ${role("web")} with the token in ~/keys/token`,
    profile: "ci",
    hint: "AWS assume-role",
  },
  {
    name: "the role of a container (ECS)",
    prepare: (world) => {
      world.signIn.containerToken = "task-token";
      return {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.signIn.url}/container`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN: "task-token",
      };
    },
    account: "AROA(pod):pod",
    kind: "container-role",
    ends: "1 h",
    source: "the container endpoint http://SIGN-IN/container",
    hint: "AWS container-role",
  },
  {
    name: "the role of a pod (EKS pod identity)",
    prepare: (world) => {
      world.signIn.containerToken = "pod-token";
      return {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.signIn.url}/container`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: world.write("keys/pod-token", "pod-token"),
      };
    },
    account: "AROA(pod):pod",
    kind: "container-role",
    ends: "1 h",
    source: "the container endpoint http://SIGN-IN/container",
    hint: "AWS container-role",
    isOfMachine: true,
  },
  {
    name: "the role of an EC2 instance",
    prepare: (world) => {
      world.signIn.instanceRole = "node";
      return {};
    },
    account: "AROA(node):i-0abc",
    kind: "iam-role",
    ends: "1 h",
    source: "instance metadata",
    hint: "AWS IAM role",
    isOfMachine: true,
  },
];

function writeGuarded(world: AwsWorld, { device = MFA_DEVICE, more = "" } = {}): void {
  world.write(".aws/credentials", world.keysOf("base"));
  world.write(
    ".aws/config",
    `[profile guarded]\nrole_arn = ${role("guarded")}\nsource_profile = base\nmfa_serial = ${device}\n${more}`,
  );
}
