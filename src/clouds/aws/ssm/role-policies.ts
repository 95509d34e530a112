import { GetInstanceProfileCommand, ListAttachedRolePoliciesCommand } from "@aws-sdk/client-iam";
import { withIam, type Region } from "../nodes/region.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";

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
