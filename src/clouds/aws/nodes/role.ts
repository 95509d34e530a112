import {
  AddRoleToInstanceProfileCommand,
  AttachRolePolicyCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  GetInstanceProfileCommand,
  GetRoleCommand,
  PutRolePolicyCommand,
  type InstanceProfile,
} from "@aws-sdk/client-iam";
import { CloudAccessError } from "../../../shared/errors.ts";
import { ROLE_NAME, type Feature } from "../actions.ts";
import { buildPolicy, partitionOf } from "../policy/document.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { NODE_POLICY_NAME, ROLE_DESCRIPTION, SSM_POLICY_ARN, TRUST_POLICY } from "../setup/plan.ts";
import { ensureSsmPolicy } from "../ssm/role-policies.ts";
import { codeOf, withIam, type Region } from "./region.ts";
import type { NodeSettings } from "./settings.ts";

/** How a launch names the instance profile; undefined = nodes without rights. */
export type NodeProfile = { readonly Arn: string } | { readonly Name: string } | undefined;

export interface ProfileAnswer {
  readonly profile: NodeProfile;
  /** It was made a moment ago: EC2 may not know it yet. */
  readonly isNew: boolean;
}

const BROAD_POLICIES = ["AmazonEC2FullAccess", "AmazonS3FullAccess"] as const;

type RoleSettings = Pick<NodeSettings, "identity" | "hasBroadRole" | "usesSsm">;

/**
 * The instance profile for nodes: the user's own, or the documented one, which is made when the account lacks it. When that is not
 * allowed, nodes run without rights, unless the settings ask for the role: then throws CloudAccessError.
 */
export async function ensureProfile(region: Region, settings: RoleSettings): Promise<ProfileAnswer> {
  const { identity } = settings;
  if (identity.kind === "profile") return { profile: { Name: identity.name }, isNew: false };
  try {
    const found = await findProfile(region);
    const role = found?.Roles?.[0]?.RoleName;
    if (found?.Arn !== undefined && role !== undefined) {
      if (settings.usesSsm) await ensureSsmPolicy(region, role);
      return { profile: { Arn: found.Arn }, isNew: false };
    }
    const made = await makeProfile(region, settings, found);
    return { profile: { Arn: made }, isNew: true };
  } catch (error) {
    if (!(error instanceof AwsDeniedError)) throw error;
    if (identity.isRequired || settings.usesSsm) throw roleMissing(error, settings);
    region.say(
      `The nodes run without a role of their own: there is no ${ROLE_NAME} in the account and it may not be created (${error.denial.action}). To have it, let an administrator run: sky aws setup`,
    );
    return { profile: undefined, isNew: false };
  }
}

function roleMissing(error: AwsDeniedError, settings: RoleSettings): CloudAccessError {
  const why = settings.usesSsm ? "Session Manager needs it (aws.use_ssm)" : "aws.remote_identity asks for it";
  const hint = error.hint === undefined ? "" : `\n${error.hint}`;
  return new CloudAccessError(
    `The role ${ROLE_NAME} of the nodes is missing, ${why}, and it cannot be created: ${error.message}`,
    {
      cause: error,
      denied: { action: error.denial.action },
      hint: `Let an administrator run \`sky aws setup\`, or name an instance profile with aws.remote_identity.${hint}`,
    },
  );
}

async function findProfile(region: Region): Promise<InstanceProfile | undefined> {
  try {
    const answer = await withIam(region, (iam, http) =>
      iam.send(new GetInstanceProfileCommand({ InstanceProfileName: ROLE_NAME }), http),
    );
    return answer.InstanceProfile;
  } catch (error) {
    if (codeOf(error).startsWith("NoSuchEntity")) return undefined;
    throw error;
  }
}

/** Each step may be repeated: a launch that was cut off is completed by the next one. */
async function makeProfile(
  region: Region,
  settings: RoleSettings,
  found: InstanceProfile | undefined,
): Promise<string> {
  await ensureRole(region, settings);
  const arn = found?.Arn ?? (await createProfile(region));
  await unlessThere("LimitExceeded", () =>
    withIam(region, (iam, http) =>
      iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: ROLE_NAME, RoleName: ROLE_NAME }), http),
    ),
  );
  return arn;
}

async function createProfile(region: Region): Promise<string> {
  await unlessThere("EntityAlreadyExists", () =>
    withIam(region, (iam, http) =>
      iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: ROLE_NAME }), http),
    ),
  );
  return `arn:${partitionOf(region.name)}:iam::${region.account}:instance-profile/${ROLE_NAME}`;
}

/** A role that an administrator made is left as it is; one of ours gets its policies, also when a launch before was cut off. */
async function ensureRole(region: Region, settings: RoleSettings): Promise<void> {
  const description = await findRole(region);
  if (description !== undefined && description !== ROLE_DESCRIPTION) return;
  if (description === undefined) {
    const input = {
      RoleName: ROLE_NAME,
      AssumeRolePolicyDocument: JSON.stringify(TRUST_POLICY),
      Description: ROLE_DESCRIPTION,
    };
    await unlessThere("EntityAlreadyExists", () =>
      withIam(region, (iam, http) => iam.send(new CreateRoleCommand(input), http)),
    );
  }
  await Promise.all([putNodePolicy(region, settings), ...managedPolicies(region, settings)]);
}

async function findRole(region: Region): Promise<string | undefined> {
  try {
    const answer = await withIam(region, (iam, http) => iam.send(new GetRoleCommand({ RoleName: ROLE_NAME }), http));
    return answer.Role?.Description ?? "";
  } catch (error) {
    if (codeOf(error).startsWith("NoSuchEntity")) return undefined;
    throw error;
  }
}

async function putNodePolicy(region: Region, settings: RoleSettings): Promise<void> {
  const features: readonly Feature[] = settings.usesSsm ? ["launch", "ssm"] : ["launch"];
  const document = buildPolicy({
    tier: "node",
    features,
    account: region.account,
    regions: [],
    isTagScoped: false,
    partition: partitionOf(region.name),
  });
  const input = { RoleName: ROLE_NAME, PolicyName: NODE_POLICY_NAME, PolicyDocument: JSON.stringify(document) };
  try {
    await withIam(region, (iam, http) => iam.send(new PutRolePolicyCommand(input), http));
  } catch (error) {
    if (!(error instanceof AwsDeniedError)) throw error;
    // The policy that SkyPilot published has no PutRolePolicy.
    region.say(
      `The new role ${ROLE_NAME} has no rights yet: the credentials in use may not write its policy (${error.denial.action}).`,
    );
  }
}

function managedPolicies(region: Region, settings: RoleSettings): readonly Promise<unknown>[] {
  const names = settings.hasBroadRole ? BROAD_POLICIES.map((name) => `arn:aws:iam::aws:policy/${name}`) : [];
  const arns = settings.usesSsm ? [...names, SSM_POLICY_ARN] : names;
  return arns.map((arn) => {
    const PolicyArn = arn.replace(/^arn:aws:/u, `arn:${partitionOf(region.name)}:`);
    return withIam(region, (iam, http) =>
      iam.send(new AttachRolePolicyCommand({ RoleName: ROLE_NAME, PolicyArn }), http),
    );
  });
}

/** `code` says that it is done already. */
async function unlessThere(code: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!codeOf(error).startsWith(code)) throw error;
  }
}
