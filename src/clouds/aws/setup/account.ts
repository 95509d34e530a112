import {
  AddRoleToInstanceProfileCommand,
  AttachRolePolicyCommand,
  CreateInstanceProfileCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  CreateRoleCommand,
  DeletePolicyVersionCommand,
  GetInstanceProfileCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  paginateListAttachedRolePolicies,
  paginateListPolicyVersions,
  PutRolePolicyCommand,
  type IAMClient,
} from "@aws-sdk/client-iam";
import { ROLE_NAME, USER_POLICY_NAME } from "../actions.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { NODE_POLICY_NAME, ROLE_DESCRIPTION, type AccountState, type SetupStep } from "./plan.ts";

interface Place {
  readonly account: string;
  readonly partition: string;
  readonly signal?: AbortSignal;
}

/** IAM keeps no more versions of a policy than this. */
const MAX_VERSIONS = 5;

/** Looks at what the account has of the set-up. Throws AwsDeniedError when it may not look. */
export async function readAccount(iam: IAMClient, place: Place): Promise<AccountState> {
  const http = httpOptions(place);
  const [role, nodePolicy, attachedPolicies, profile, userPolicy] = await Promise.all([
    unlessMissing(() => iam.send(new GetRoleCommand({ RoleName: ROLE_NAME }), http)),
    unlessMissing(() =>
      iam.send(new GetRolePolicyCommand({ RoleName: ROLE_NAME, PolicyName: NODE_POLICY_NAME }), http),
    ),
    unlessMissing(() => readAttached(iam, http)),
    unlessMissing(() => iam.send(new GetInstanceProfileCommand({ InstanceProfileName: ROLE_NAME }), http)),
    unlessMissing(() => readManaged(iam, place)),
  ]);
  const trust = readDocument(role?.Role?.AssumeRolePolicyDocument);
  return {
    role: role === undefined ? undefined : { trustsEc2: JSON.stringify(trust ?? "").includes("ec2.amazonaws.com") },
    nodePolicy: readDocument(nodePolicy?.PolicyDocument),
    attachedPolicies: attachedPolicies ?? [],
    profile:
      profile === undefined
        ? undefined
        : { roles: profile.InstanceProfile?.Roles?.flatMap((each) => each.RoleName ?? []) ?? [] },
    userPolicy,
  };
}

/** Does one step; doing it again is harmless. */
export async function applyStep(iam: IAMClient, step: SetupStep, place: Place): Promise<void> {
  const http = httpOptions(place);
  const send = async (call: () => Promise<unknown>): Promise<void> => {
    await unlessThere(call);
  };
  switch (step.kind) {
    case "create-role": {
      const trust = JSON.stringify(step.trust);
      const tags = [{ Key: "skypilot", Value: "true" }];
      const input = { RoleName: step.name, AssumeRolePolicyDocument: trust, Tags: tags, Description: ROLE_DESCRIPTION };
      return send(() => iam.send(new CreateRoleCommand(input), http));
    }
    case "put-role-policy": {
      const document = JSON.stringify(step.document);
      const input = { RoleName: step.role, PolicyName: step.name, PolicyDocument: document };
      return send(() => iam.send(new PutRolePolicyCommand(input), http));
    }
    case "attach-policy": {
      const arn = step.arn.replace(/^arn:aws:/u, `arn:${place.partition}:`);
      return send(() => iam.send(new AttachRolePolicyCommand({ RoleName: step.role, PolicyArn: arn }), http));
    }
    case "create-profile":
      return send(() => iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: step.name }), http));
    case "add-role": {
      const input = { InstanceProfileName: step.profile, RoleName: step.role };
      return send(() => iam.send(new AddRoleToInstanceProfileCommand(input), http));
    }
    case "create-policy": {
      const input = { PolicyName: step.name, PolicyDocument: JSON.stringify(step.document) };
      return send(() => iam.send(new CreatePolicyCommand({ ...input, Description: POLICY_DESCRIPTION }), http));
    }
    case "update-policy":
      return updatePolicy(iam, step.document, place);
  }
}

const POLICY_DESCRIPTION = "What users of SkyPilot may do";

async function updatePolicy(iam: IAMClient, document: PolicyDocument, place: Place): Promise<void> {
  const http = httpOptions(place);
  const arn = userPolicyArn(place);
  const versions = [];
  for await (const page of paginateListPolicyVersions({ client: iam }, { PolicyArn: arn }, http)) {
    versions.push(...(page.Versions ?? []));
  }
  const oldest = versions
    .filter((each) => each.IsDefaultVersion !== true)
    .toSorted((one, other) => (one.CreateDate?.getTime() ?? 0) - (other.CreateDate?.getTime() ?? 0))[0];
  if (versions.length >= MAX_VERSIONS && oldest?.VersionId !== undefined) {
    await iam.send(new DeletePolicyVersionCommand({ PolicyArn: arn, VersionId: oldest.VersionId }), http);
  }
  const input = { PolicyArn: arn, PolicyDocument: JSON.stringify(document), SetAsDefault: true };
  await iam.send(new CreatePolicyVersionCommand(input), http);
}

async function readAttached(iam: IAMClient, http: Http): Promise<string[]> {
  const arns: string[] = [];
  for await (const page of paginateListAttachedRolePolicies({ client: iam }, { RoleName: ROLE_NAME }, http)) {
    arns.push(...(page.AttachedPolicies?.flatMap((each) => each.PolicyArn ?? []) ?? []));
  }
  return arns;
}

async function readManaged(iam: IAMClient, place: Place): Promise<PolicyDocument | undefined> {
  const arn = userPolicyArn(place);
  const http = httpOptions(place);
  const policy = await iam.send(new GetPolicyCommand({ PolicyArn: arn }), http);
  const version = policy.Policy?.DefaultVersionId;
  if (version === undefined) return undefined;
  const found = await iam.send(new GetPolicyVersionCommand({ PolicyArn: arn, VersionId: version }), http);
  return readDocument(found.PolicyVersion?.Document);
}

function userPolicyArn({ account, partition }: Place): string {
  return `arn:${partition}:iam::${account}:policy/${USER_POLICY_NAME}`;
}

/** IAM gives documents URL-encoded. */
function readDocument(text: string | undefined): PolicyDocument | undefined {
  return text === undefined ? undefined : (JSON.parse(decodeURIComponent(text)) as PolicyDocument);
}

async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (failureOf(error)?.name.startsWith("NoSuchEntity")) return undefined;
    throw error;
  }
}

async function unlessThere(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    const name = failureOf(error)?.name ?? "";
    // Made meanwhile by somebody else.
    if (!name.startsWith("EntityAlreadyExists")) throw error;
  }
}

interface Http {
  readonly abortSignal?: AbortSignal;
}

function httpOptions({ signal }: Place): Http {
  return signal === undefined ? {} : { abortSignal: signal };
}
