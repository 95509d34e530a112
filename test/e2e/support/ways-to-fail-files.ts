import { SSO_ROLE, SSO_SESSION } from "./aws-world.ts";
import { type WayToFail, MORE, STATIC, CORRECT, role, config, configure } from "./way-to-fail.ts";

export const nothingThere: readonly WayToFail[] = [
  {
    name: "no credentials at all",
    prepare: () => ({}),
    reason: `AWS credentials are not set. ${STATIC}
    Details: looked at the environment (AWS_ACCESS_KEY_ID is not set); profile 'default' in ~/.aws/config and ~/.aws/credentials (no credentials); the container endpoint (none); instance metadata (it is switched off for this instance).`,
    repair: configure,
  },
  {
    name: "no credentials, and no instance metadata either",
    prepare: config("[profile bare]\nregion = us-east-1\n", {
      AWS_PROFILE: "bare",
      AWS_EC2_METADATA_DISABLED: "true",
    }),
    reason: `AWS credentials are not set. ${STATIC}
    Details: looked at the environment (AWS_ACCESS_KEY_ID is not set); profile 'bare' in ~/.aws/config and ~/.aws/credentials (no credentials); the container endpoint (none); instance metadata (switched off by AWS_EC2_METADATA_DISABLED).`,
    repair: (world, env) => {
      world.write(".aws/credentials", world.keysOf("bare"));
      return env;
    },
  },
  {
    name: "a profile under another name only",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("work"));
      world.write(".aws/config", "[profile play]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = work\n");
      return {};
    },
    reason: `AWS credentials are not set. profiles found: play, work; none is named \`default\` and AWS_PROFILE is not set. Run the following commands:
      $ export AWS_PROFILE=play
      $ sky check aws
    For more info: ${MORE}/cli-configure-files.html`,
    repair: () => ({ AWS_PROFILE: "work" }),
  },
  {
    name: "an unknown profile",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("work"));
      return { AWS_PROFILE: "wrok" };
    },
    reason: `The AWS profile 'wrok' (named by AWS_PROFILE) does not exist; profiles found: work. Run the following commands:
      $ aws configure --profile wrok
      $ export AWS_PROFILE=work  # If that is the one you mean.
    For more info: ${MORE}/cli-configure-files.html`,
    repair: () => ({ AWS_PROFILE: "work" }),
  },
  {
    name: "an unknown profile of the workspace",
    prepare: (world) => {
      world.write(".aws/credentials", world.keysOf("default"));
      world.write(".sky/config.yaml", "workspaces:\n  default:\n    aws:\n      profile: team\n");
      return {};
    },
    reason: `The AWS profile 'team' (named by aws.profile in the workspace's config) does not exist; profiles found: default. Run the following command:
      $ aws configure --profile team
    For more info: ${MORE}/cli-configure-files.html`,
    repair: (world) => {
      world.write(".aws/credentials", world.keysOf("team"));
      return {};
    },
  },
  {
    name: "a section that is named as in the other file",
    prepare: (world) => {
      world.write(".aws/config", world.keysOf("team"));
      return { AWS_PROFILE: "team" };
    },
    reason: `The AWS profile 'team' (named by AWS_PROFILE) does not exist; there are no profiles. ~/.aws/config has [team]; there it must be [profile team]. Run the following commands:
      $ aws configure --profile team
      $ export AWS_PROFILE=<profile>
    For more info: ${MORE}/cli-configure-files.html`,
    repair: (world, env) => {
      world.write(".aws/config", world.keysOf("profile team"));
      return env;
    },
  },
  {
    name: "a file that is no configuration",
    prepare: config("[default]\nregion = us-east-1\nthis is no option\n"),
    reason:
      "~/.aws/config cannot be read: line 3: the line is neither `name = value` nor a [section]. Correct the file, then run: sky check aws",
    repair: (world) => {
      world.write(".aws/config", world.keysOf("default"));
      return {};
    },
  },
];

export const incompleteSettings: readonly WayToFail[] = [
  {
    name: "half a key in variables",
    prepare: (world) => ({ AWS_ACCESS_KEY_ID: world.ann.accessKeyId }),
    reason: `AWS credentials in the environment are incomplete: AWS_SECRET_ACCESS_KEY is missing. ${STATIC}`,
    repair: (world) => world.annEnv(),
  },
  {
    name: "half a key in the credentials file",
    prepare: (world) => {
      world.write(".aws/credentials", "[default]\naws_access_key_id = AKIAHALF\n");
      return {};
    },
    reason: `AWS credentials in profile 'default' in ~/.aws/credentials are incomplete: aws_secret_access_key is missing. ${STATIC}`,
    repair: configure,
  },
  {
    name: "roles that go round in a circle",
    prepare: config(
      `[profile a]\nrole_arn = ${role("dev")}\nsource_profile = b\n[profile b]\nrole_arn = ${role("dev")}\nsource_profile = a\n`,
      { AWS_PROFILE: "a" },
    ),
    reason: `Invalid AWS configuration. The source_profile settings go round in a circle: a → b → a. ${CORRECT}`,
  },
  {
    name: "a role whose source does not exist",
    prepare: config(`[profile a]\nrole_arn = ${role("dev")}\nsource_profile = nobody\n`, { AWS_PROFILE: "a" }),
    reason: `Invalid AWS configuration. The source_profile 'nobody' of profile 'a' does not exist. ${CORRECT}`,
  },
  {
    name: "a role whose source holds nothing",
    prepare: config(`[profile a]\nrole_arn = ${role("dev")}\nsource_profile = b\n[profile b]\nregion = x\n`, {
      AWS_PROFILE: "a",
    }),
    reason: `Invalid AWS configuration. The source_profile 'b' of profile 'a' holds no credentials. ${CORRECT}`,
  },
  {
    name: "a role without a source",
    prepare: config(`[profile a]\nrole_arn = ${role("dev")}\n`, { AWS_PROFILE: "a" }),
    reason: `Invalid AWS configuration. The profile 'a' has role_arn, but neither source_profile nor credential_source. ${CORRECT}`,
  },
  {
    name: "a role with two sources",
    prepare: config(`[profile a]\nrole_arn = ${role("dev")}\nsource_profile = b\ncredential_source = Environment\n`, {
      AWS_PROFILE: "a",
    }),
    reason: `Invalid AWS configuration. The profile 'a' has both source_profile and credential_source; only one may be set. ${CORRECT}`,
  },
  {
    name: "a source that there is not",
    prepare: config(`[profile a]\nrole_arn = ${role("dev")}\ncredential_source = Environment\n`, { AWS_PROFILE: "a" }),
    reason: `Invalid AWS configuration. The profile 'a' says credential_source = Environment, but AWS_ACCESS_KEY_ID is not set. ${CORRECT}`,
  },
  {
    name: "a source of no known kind",
    prepare: config(`[profile a]\nrole_arn = ${role("dev")}\ncredential_source = Cloud\n`, { AWS_PROFILE: "a" }),
    reason: `Invalid AWS configuration. The profile 'a' says credential_source = Cloud; it may be Environment, EcsContainer or Ec2InstanceMetadata. ${CORRECT}`,
  },
  {
    name: "SSO without a role",
    prepare: config(`[profile a]\nsso_session = corp\nsso_account_id = 123456789012\n${SSO_SESSION}`, {
      AWS_PROFILE: "a",
    }),
    reason: `Invalid AWS configuration. The profile 'a' uses SSO, but sso_role_name is missing. ${CORRECT}`,
  },
  {
    name: "SSO whose session is not there",
    prepare: config(`[profile a]\nsso_session = corp\n${SSO_ROLE}`, { AWS_PROFILE: "a" }),
    reason: `Invalid AWS configuration. The profile 'a' names the sso-session 'corp', but there is no [sso-session corp]. ${CORRECT}`,
  },
];
