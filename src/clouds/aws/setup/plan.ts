import { ROLE_NAME, USER_POLICY_NAME, type Feature } from "../actions.ts";
import { buildPolicy, type PolicyDocument } from "../policy/document.ts";

export const NODE_POLICY_NAME = "SkyPilotNodePolicy";
/** By it a role that we made is told from one that an administrator made. */
export const ROLE_DESCRIPTION = "Role of the nodes that SkyPilot launches";

/** What of SkyPilot's set-up an account has; undefined = it is not there. */
export interface AccountState {
  readonly role: { readonly trustsEc2: boolean } | undefined;
  /** The inline policy of the role. */
  readonly nodePolicy: PolicyDocument | undefined;
  readonly attachedPolicies: readonly string[];
  readonly profile: { readonly roles: readonly string[] } | undefined;
  readonly userPolicy: PolicyDocument | undefined;
}

export interface SetupWish {
  readonly account: string;
  readonly features: readonly Feature[];
  readonly regions: readonly string[];
  readonly isTagScoped: boolean;
}

/** One thing that the set-up does. Plain JSON: it is shown before it is done. */
export type SetupStep =
  | { readonly kind: "create-role"; readonly name: string; readonly trust: object }
  | {
      readonly kind: "put-role-policy";
      readonly role: string;
      readonly name: string;
      readonly document: PolicyDocument;
    }
  | { readonly kind: "attach-policy"; readonly role: string; readonly arn: string }
  | { readonly kind: "create-profile"; readonly name: string }
  | { readonly kind: "add-role"; readonly profile: string; readonly role: string }
  | { readonly kind: "create-policy"; readonly name: string; readonly document: PolicyDocument }
  | { readonly kind: "update-policy"; readonly name: string; readonly document: PolicyDocument };

export interface SetupPlan {
  readonly steps: readonly SetupStep[];
  /** What is as it should be already. */
  readonly done: readonly string[];
  /** What the set-up leaves alone, and the user should know. */
  readonly warnings: readonly string[];
}

/** Lets EC2, and nobody else, take the role. */
export const TRUST_POLICY = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }],
} as const;

/** The managed policy that Session Manager's agent on a node needs. */
export const SSM_POLICY_ARN = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";

/** Says what is still to be done; an account that has everything gets an empty plan. */
export function planSetup(state: AccountState, wish: SetupWish): SetupPlan {
  const wanted = documentsFor(wish);
  const parts = [
    planRole(state),
    planNodePolicy(state, wanted.node),
    planSsm(state, wish),
    planProfile(state),
    planUserPolicy(state, wanted.user),
  ];
  return {
    steps: parts.flatMap((part) => part.steps ?? []),
    done: parts.flatMap((part) => part.done ?? []),
    warnings: parts.flatMap((part) => part.warnings ?? []),
  };
}

type Part = Partial<SetupPlan>;

function documentsFor(wish: SetupWish): { readonly node: PolicyDocument; readonly user: PolicyDocument } {
  // Only what a node does is for its role; who logs in there gets no right to make roles.
  const node = buildPolicy({ ...wish, tier: "node" });
  const user = buildPolicy({ ...wish, tier: "user", features: wish.features.filter((each) => each !== "role") });
  return { node, user };
}

function planRole({ role }: AccountState): Part {
  if (role === undefined) return { steps: [{ kind: "create-role", name: ROLE_NAME, trust: TRUST_POLICY }] };
  if (role.trustsEc2) return { done: [`role ${ROLE_NAME}`] };
  return {
    warnings: [
      `The role ${ROLE_NAME} exists but does not trust ec2.amazonaws.com: nodes cannot take it. Change its trust policy to ${JSON.stringify(TRUST_POLICY)}`,
    ],
  };
}

function planNodePolicy({ nodePolicy }: AccountState, document: PolicyDocument): Part {
  if (isSame(nodePolicy, document)) return { done: [`policy ${NODE_POLICY_NAME} of the role`] };
  return { steps: [{ kind: "put-role-policy", role: ROLE_NAME, name: NODE_POLICY_NAME, document }] };
}

function planSsm({ attachedPolicies }: AccountState, wish: SetupWish): Part {
  if (!wish.features.includes("ssm")) return {};
  const isAttached = attachedPolicies.some((arn) => arn.endsWith("/AmazonSSMManagedInstanceCore"));
  if (isAttached) return { done: ["AmazonSSMManagedInstanceCore on the role"] };
  return { steps: [{ kind: "attach-policy", role: ROLE_NAME, arn: SSM_POLICY_ARN }] };
}

function planProfile({ profile }: AccountState): Part {
  const add = { kind: "add-role", profile: ROLE_NAME, role: ROLE_NAME } as const;
  if (profile === undefined) return { steps: [{ kind: "create-profile", name: ROLE_NAME }, add] };
  if (profile.roles.length === 0) return { steps: [add] };
  if (profile.roles.includes(ROLE_NAME)) return { done: [`instance profile ${ROLE_NAME}`] };
  return {
    warnings: [
      `The instance profile ${ROLE_NAME} holds the role ${profile.roles.join(", ")}; a profile holds one role, so it is left as it is.`,
    ],
  };
}

function planUserPolicy({ userPolicy }: AccountState, document: PolicyDocument): Part {
  if (userPolicy === undefined) return { steps: [{ kind: "create-policy", name: USER_POLICY_NAME, document }] };
  if (isSame(userPolicy, document)) return { done: [`policy ${USER_POLICY_NAME}`] };
  return { steps: [{ kind: "update-policy", name: USER_POLICY_NAME, document }] };
}

function isSame(one: PolicyDocument | undefined, other: PolicyDocument): boolean {
  return one !== undefined && JSON.stringify(one) === JSON.stringify(other);
}

/** A step as the user reads it before it is done. */
export function renderStep(step: SetupStep): string {
  switch (step.kind) {
    case "create-role":
      return `create the role ${step.name}, which only EC2 may take`;
    case "put-role-policy":
      return `write the inline policy ${step.name} of the role ${step.role} (${sids(step.document)})`;
    case "attach-policy":
      return `attach ${step.arn.split("/").at(-1) ?? step.arn} to the role ${step.role}`;
    case "create-profile":
      return `create the instance profile ${step.name}`;
    case "add-role":
      return `put the role ${step.role} into the instance profile ${step.profile}`;
    case "create-policy":
      return `create the policy ${step.name} for users (${sids(step.document)})`;
    case "update-policy":
      return `make a new version of the policy ${step.name} for users (${sids(step.document)})`;
  }
}

function sids(document: PolicyDocument): string {
  return document.Statement.map((each) => each.Sid).join(", ");
}
