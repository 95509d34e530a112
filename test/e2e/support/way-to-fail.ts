import { SSO_ROLE, SSO_SESSION, type AwsWorld, type Env } from "./aws-world.ts";

/** A way in which signing in fails, with what `sky check aws` says of it. */
export interface WayToFail {
  readonly name: string;
  /** Puts the user's files there, and gives the variables of the user's shell. */
  readonly prepare: (world: AwsWorld) => Env | Promise<Env>;
  /** The whole reason. */
  readonly reason: string;
  /** What the user does then; afterwards AWS is enabled. Absent where the user cannot repair it. */
  readonly repair?: (world: AwsWorld, env: Env) => Env | Promise<Env>;
}

export const MORE = "https://docs.aws.amazon.com/cli/latest/userguide";
export const STATIC = `Run the following commands:
      $ aws configure
      $ aws configure list  # Ensure that this shows identity is set.
    For more info: ${MORE}/cli-configure-quickstart.html`;
export const CORRECT = "Correct it in ~/.aws/config, then run: sky check aws";
export const RENEW = "Whatever writes the token file (EKS, the CI system) has to renew it; then run: sky check aws";
export const CONTAINER = "Check that a task role (ECS) or a pod identity association (EKS) is set for this container.";
export const INSTANCE =
  "Check that an instance profile is attached to this instance and that IMDSv2 is allowed (hop limit 2 in containers).";
export const NETWORK =
  "Check the network of the machine that calls AWS (DNS, proxy, firewall), then run: sky check aws";
export const HOUR_MS = 3_600_000;

export function role(name: string): string {
  return `arn:aws:iam::123456789012:role/${name}`;
}

export function inHours(hours: number): string {
  return new Date(Date.now() + hours * HOUR_MS).toISOString();
}

export function ssoRepair(profile: string): string {
  const option = profile === "default" ? "" : ` --profile ${profile}`;
  return `Run the following commands:
      $ sky aws login${option}
      $ aws sso login${option}  # The same with AWS CLI v2.
    For more info: ${MORE}/cli-configure-sso.html`;
}

export function one(command: string, page: string): string {
  return `Run the following command:\n      $ ${command}\n    For more info: ${MORE}/${page}.html`;
}

export function config(text: string, env: Env = {}): (world: AwsWorld) => Env {
  return (world) => {
    world.write(".aws/config", text);
    return env;
  };
}

/** What `aws configure` does with ann's keys. */
export function configure(world: AwsWorld): Env {
  world.write(".aws/credentials", world.keysOf("default"));
  return {};
}

/** Runs `sky aws login`, as the reason says. */
export async function login(world: AwsWorld, env: Env): Promise<Env> {
  const profile = env["AWS_PROFILE"];
  await world.login(profile === undefined ? [] : ["--profile", profile]);
  return env;
}

export function ssoConfig(profile: string): string {
  return `[profile ${profile}]\nsso_session = corp\n${SSO_ROLE}${SSO_SESSION}`;
}
