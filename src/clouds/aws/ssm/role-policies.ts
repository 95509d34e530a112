import {
  AttachRolePolicyCommand,
  GetInstanceProfileCommand,
  ListAttachedRolePoliciesCommand,
} from "@aws-sdk/client-iam";
import { CloudAccessError } from "../../../shared/errors.ts";
import { withIam, type Region } from "../nodes/region.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { partitionOf } from "../policy/document.ts";
import { SSM_POLICY_ARN } from "../setup/plan.ts";

/** Managed policies that let the agent of an instance talk to Session Manager. */
const ENOUGH = ["AmazonSSMManagedInstanceCore", "AmazonSSMManagedEC2InstanceDefaultPolicy", "AmazonSSMFullAccess"];
const ADMINISTRATOR = "AdministratorAccess";

/** Whether the role has a policy for Session Manager; undefined = we may not look, or it has policies of the user's own. */
export async function hasSsmPolicy(region: Region, role: string): Promise<boolean | undefined> {
  try {
    const answer = await withIam(region, (iam, http) =>
      iam.send(new ListAttachedRolePoliciesCommand({ RoleName: role }), http),
    );
    const names = (answer.AttachedPolicies ?? []).map(({ PolicyName = "" }) => PolicyName);
    if (names.some((name) => name === ADMINISTRATOR || ENOUGH.includes(name))) return true;
    const isForeign = (arn = ""): boolean => !/^arn:[^:]+:iam::aws:/u.test(arn);
    return (answer.AttachedPolicies ?? []).some(({ PolicyArn }) => isForeign(PolicyArn)) ? undefined : false;
  } catch (error) {
    if (error instanceof AwsDeniedError) return undefined;
    throw error;
  }
}

/** Attaches what a role surely lacks. Throws CloudAccessError when that is not allowed. */
export async function ensureSsmPolicy(region: Region, role: string): Promise<void> {
  if ((await hasSsmPolicy(region, role)) !== false) return;
  const PolicyArn = ssmPolicyArn(region.name);
  try {
    await withIam(region, (iam, http) => iam.send(new AttachRolePolicyCommand({ RoleName: role, PolicyArn }), http));
  } catch (error) {
    if (!(error instanceof AwsDeniedError)) throw error;
    throw new CloudAccessError(
      `The role ${role} of the nodes lacks the policy AmazonSSMManagedInstanceCore, which Session Manager needs (aws.use_ssm), and it may not be attached.`,
      { cause: error, denied: { action: error.denial.action }, hint: attachHint(role, region.name) },
    );
  }
}

/** How the policy gets to the role. */
export function attachHint(role: string, region: string): string {
  return `Let an administrator run \`sky aws setup --features ssm\`, or: aws iam attach-role-policy --role-name ${role} --policy-arn ${ssmPolicyArn(region)}`;
}

function ssmPolicyArn(region: string): string {
  return SSM_POLICY_ARN.replace(/^arn:aws:/u, `arn:${partitionOf(region)}:`);
}

/** The role in an instance profile; undefined = none, or we may not look. */
export async function roleOfProfile(region: Region, profile: string): Promise<string | undefined> {
  try {
    const answer = await withIam(region, (iam, http) =>
      iam.send(new GetInstanceProfileCommand({ InstanceProfileName: profile }), http),
    );
    return answer.InstanceProfile?.Roles?.[0]?.RoleName;
  } catch (error) {
    if (error instanceof AwsDeniedError) return undefined;
    throw error;
  }
}
