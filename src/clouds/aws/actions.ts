/**
 * Every AWS action that the product makes, in one table: which statement of a policy allows it, on what it is checked, what a user
 * can no longer do without it, and how it can be tried without an effect. Policies, the preflight, the explanation of denials and
 * `sky aws setup` all read it; a call that is not in it is a bug that a test finds.
 *
 * `ACCOUNT` stands for the account id, `REGION` for a region or `*`, `PARTITION` for `aws`, `aws-cn` or `aws-us-gov`.
 */

export const ROLE_NAME = "skypilot-v1";
/** The managed policy that `sky aws setup` makes for users. */
export const USER_POLICY_NAME = "skypilot-user";

export const FEATURES = {
  launch: "launch, stop, start and terminate clusters",
  spot: "spot instances in an account that never used them",
  ports: "open and close ports",
  role: `create the role and instance profile ${ROLE_NAME} at the first launch`,
  efa: "Elastic Fabric Adapter (network_tier: best)",
  "clone-disk": "clone the disk of a cluster",
  "clone-care": "remove the snapshot that a cloned disk leaves",
  ssm: "SSH through Session Manager",
  s3: "read and write buckets",
  buckets: "create and delete buckets",
  mounts: "mount buckets with keys of a user",
  "bucket-care": "close new buckets explicitly, end broken uploads, delete buckets with old versions",
  ecr: "run tasks in images of Amazon ECR",
  kms: "disks encrypted with a key of your own",
  explain: "let SkyPilot look up what it may do and decode refusals",
} as const satisfies Record<string, string>;
export type Feature = keyof typeof FEATURES;

/** What a user does, as the table of `sky check aws --permissions` has it. */
export const CAPABILITIES = {
  launch: "launch",
  spot: "spot",
  "stop-start": "stop, start",
  terminate: "terminate",
  ports: "ports",
  role: "role creation",
  vpc: "custom VPC",
  ssm: "SSM",
  "clone-disk": "clone disk",
  "s3-read": "S3 read",
  "s3-write": "S3 write",
  buckets: "bucket create, delete",
  jobs: "managed jobs",
} as const satisfies Record<string, string>;
export type AwsCapability = keyof typeof CAPABILITIES;

/** Who holds a statement: the person who sets the account up, the user (or API server), the nodes. */
export type Tier = "admin-setup" | "user" | "node";

export interface StatementTemplate {
  readonly feature: Feature;
  readonly tiers: readonly Tier[];
  readonly resources: readonly string[];
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Takes the place of the statement when access is limited to what SkyPilot tagged. */
  readonly tagScope?: readonly TagScope[];
}

/** One statement of the tag-scoped form: the resources of the template that the condition can be asked of. */
export interface TagScope {
  readonly suffix: string;
  readonly resources: readonly string[];
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const ec2 = (resource: string): string => `arn:PARTITION:ec2:REGION:ACCOUNT:${resource}`;
const iam = (resource: string): string => `arn:PARTITION:iam::ACCOUNT:${resource}`;
const INSTANCE = ec2("instance/*");
const VOLUME = ec2("volume/*");
const GROUP = ec2("security-group/*");
/** EC2 names these by their names, not by ids. */
const PLACEMENT = ec2("placement-group/sky-pg-*");
const IMAGE = "arn:PARTITION:ec2:REGION::image/*";
const ROLE = iam(`role/${ROLE_NAME}`);
const PROFILE = iam(`instance-profile/${ROLE_NAME}`);
const USER_POLICY = iam(`policy/${USER_POLICY_NAME}`);
const OBJECTS = "arn:PARTITION:s3:::*/*";
const BUCKETS = "arn:PARTITION:s3:::*";
/** Also of other accounts, such as AWS's own with its deep learning images: those decide by policies of their own. */
const REPOSITORY = "arn:PARTITION:ecr:*:*:repository/*";
const SSH_DOCUMENT = "arn:PARTITION:ssm:*:*:document/AWS-StartSSHSession";
/** IAM itself puts in who calls: sessions are named after who started them. */
const OWN_SESSIONS = "arn:PARTITION:ssm:*:*:session/${aws:userid}-*";
const LAUNCHED_INTO = [ec2("network-interface/*"), ec2("subnet/*"), GROUP, ec2("capacity-reservation/*")];

const OWN_INSTANCE = { StringLike: { "aws:ResourceTag/skypilot-cluster-name": "*" } };
const OWN_GROUP = { StringEquals: { "aws:ResourceTag/skypilot": "true" } };

/** The statements in the order in which they are printed, by their `Sid`. */
export const STATEMENTS = {
  Read: { feature: "launch", tiers: ["user", "node"], resources: ["*"] },
  RunFromAnyImage: { feature: "launch", tiers: ["user", "node"], resources: [IMAGE] },
  Run: {
    feature: "launch",
    tiers: ["user", "node"],
    resources: [INSTANCE, VOLUME, ...LAUNCHED_INTO],
    tagScope: [
      {
        suffix: "",
        resources: [INSTANCE],
        condition: { StringLike: { "aws:RequestTag/skypilot-cluster-name": "*" } },
      },
      // The tags of a volume may be refused without failing a launch, so the volume itself must not depend on them.
      { suffix: "Into", resources: [VOLUME, ...LAUNCHED_INTO] },
    ],
  },
  Lifecycle: {
    feature: "launch",
    tiers: ["user", "node"],
    resources: [INSTANCE],
    tagScope: [{ suffix: "", resources: [INSTANCE], condition: OWN_INSTANCE }],
  },
  Tag: {
    feature: "launch",
    tiers: ["user", "node"],
    resources: [INSTANCE, VOLUME, GROUP],
    tagScope: [
      {
        suffix: "AtCreation",
        resources: [INSTANCE, VOLUME, GROUP],
        condition: { StringLike: { "ec2:CreateAction": "*" } },
      },
      { suffix: "", resources: [INSTANCE], condition: OWN_INSTANCE },
    ],
  },
  SecurityGroups: { feature: "launch", tiers: ["user", "node"], resources: [GROUP, ec2("vpc/*")] },
  UseRole: { feature: "launch", tiers: ["user", "node"], resources: [ROLE] },
  UseProfile: { feature: "launch", tiers: ["user", "node"], resources: [PROFILE] },
  Spot: {
    feature: "spot",
    tiers: ["user", "node"],
    resources: ["*"],
    condition: { StringEquals: { "iam:AWSServiceName": "spot.amazonaws.com" } },
  },
  AutoRole: { feature: "role", tiers: ["user"], resources: [ROLE] },
  AutoProfile: { feature: "role", tiers: ["user"], resources: [PROFILE] },
  Ports: {
    feature: "ports",
    tiers: ["user", "node"],
    resources: [ec2("*")],
    tagScope: [
      { suffix: "OfInstances", resources: [INSTANCE], condition: OWN_INSTANCE },
      { suffix: "", resources: [GROUP], condition: OWN_GROUP },
    ],
  },
  Efa: { feature: "efa", tiers: ["user"], resources: [GROUP] },
  EfaPlacement: { feature: "efa", tiers: ["user"], resources: [PLACEMENT] },
  Clone: { feature: "clone-disk", tiers: ["user"], resources: ["*"] },
  CloneCare: { feature: "clone-care", tiers: ["user"], resources: ["arn:PARTITION:ec2:REGION::snapshot/*"] },
  Ssm: {
    feature: "ssm",
    tiers: ["user"],
    resources: [INSTANCE, SSH_DOCUMENT],
    tagScope: [
      {
        suffix: "",
        resources: [INSTANCE],
        condition: { StringLike: { "ssm:resourceTag/skypilot-cluster-name": "*" } },
      },
      { suffix: "Document", resources: [SSH_DOCUMENT] },
    ],
  },
  SsmSessions: { feature: "ssm", tiers: ["user"], resources: [OWN_SESSIONS] },
  SsmLook: { feature: "ssm", tiers: ["user"], resources: ["*"] },
  SsmRole: { feature: "ssm", tiers: ["user"], resources: [ROLE] },
  S3Objects: { feature: "s3", tiers: ["user", "node"], resources: [OBJECTS] },
  S3Buckets: { feature: "s3", tiers: ["user", "node"], resources: [BUCKETS] },
  S3List: { feature: "s3", tiers: ["user", "node"], resources: ["*"] },
  S3Lend: { feature: "mounts", tiers: ["user"], resources: ["*"] },
  S3Manage: { feature: "buckets", tiers: ["user"], resources: [BUCKETS] },
  S3Care: { feature: "bucket-care", tiers: ["user"], resources: [BUCKETS] },
  S3Versions: { feature: "bucket-care", tiers: ["user"], resources: [OBJECTS] },
  EcrLogin: { feature: "ecr", tiers: ["user"], resources: ["*"] },
  EcrPull: { feature: "ecr", tiers: ["user"], resources: [REPOSITORY] },
  Kms: { feature: "kms", tiers: ["user"], resources: ["arn:PARTITION:kms:REGION:ACCOUNT:key/*"] },
  Simulate: { feature: "explain", tiers: ["user"], resources: [iam("user/*"), iam("role/*")] },
  Decode: { feature: "explain", tiers: ["user"], resources: ["*"] },
  SetupRole: { feature: "launch", tiers: ["admin-setup"], resources: [ROLE] },
  SetupProfile: { feature: "launch", tiers: ["admin-setup"], resources: [PROFILE] },
  SetupPolicy: { feature: "launch", tiers: ["admin-setup"], resources: [USER_POLICY] },
  SetupSpot: {
    feature: "spot",
    tiers: ["admin-setup"],
    resources: ["*"],
    condition: { StringEquals: { "iam:AWSServiceName": "spot.amazonaws.com" } },
  },
} as const satisfies Record<string, StatementTemplate>;
export type Sid = keyof typeof STATEMENTS;

/**
 * How an action is tried without an effect: `call` = it only reads, so it is made; `dry-run` = EC2 answers instead of acting;
 * `none` = only IAM's simulator can tell.
 */
export type Trial = "call" | "dry-run" | "none";

export interface ActionRow {
  /** The action, with what it is checked on where one action has several rows: `ec2:CreateTags/volume`. */
  readonly id: string;
  readonly action: string;
  readonly sid: Sid;
  /** How the statement spells it, when not by its name. */
  readonly printed?: string;
  readonly resources: readonly string[];
  readonly needs: readonly AwsCapability[];
  readonly trial: Trial;
  /** What happens without it, when that is not a failure. */
  readonly without?: string;
}

interface RowTraits {
  readonly on?: readonly string[];
  readonly of?: string;
  readonly needs?: readonly AwsCapability[];
  readonly trial?: Trial;
  readonly printed?: string;
  readonly without?: string;
}

function row(sid: Sid, action: string, traits: RowTraits = {}): ActionRow {
  const { on, of, needs, trial, ...rest } = traits;
  return {
    id: of === undefined ? action : `${action}/${of}`,
    action,
    sid,
    resources: on ?? STATEMENTS[sid].resources,
    needs: needs ?? [],
    trial: trial ?? "none",
    ...rest,
  };
}

function describe(name: string, needs: readonly AwsCapability[], without?: string): ActionRow {
  const traits = { needs, trial: "call", printed: "ec2:Describe*" } as const;
  return row("Read", `ec2:Describe${name}`, without === undefined ? traits : { ...traits, without });
}

const EVERY_LAUNCH = ["launch", "spot", "jobs"] as const;
const APART = "nodes with EFA are not placed close together";
const SETUP = { needs: [] } as const;

export const ACTIONS: readonly ActionRow[] = [
  describe("Regions", EVERY_LAUNCH),
  describe("AvailabilityZones", EVERY_LAUNCH),
  describe("Instances", [...EVERY_LAUNCH, "stop-start", "terminate", "ports"]),
  describe("Images", EVERY_LAUNCH),
  describe("Vpcs", [...EVERY_LAUNCH, "vpc"]),
  describe("Subnets", [...EVERY_LAUNCH, "vpc"]),
  describe("RouteTables", [...EVERY_LAUNCH, "vpc"]),
  describe("SecurityGroups", [...EVERY_LAUNCH, "ports", "vpc"]),
  describe("InstanceTypes", [], "network_tier: best uses one network interface"),
  describe("CapacityReservations", [], "capacity reservations are not used"),
  describe("PlacementGroups", [], "placement groups that were left behind are not found"),
  describe("VpcEndpoints", ["vpc"], "whether a private subnet reaches AWS is not checked"),
  row("Read", "servicequotas:GetServiceQuota", {
    needs: ["launch"],
    trial: "call",
    without: "a region without quota is found out by a launch that fails there",
  }),
  // A refusal that names no resource is taken for that of the last row of the action.
  row("EfaPlacement", "ec2:CreateTags", {
    of: "placement-group",
    without: "new placement groups carry no tags, so that `sky orphans` does not find them",
  }),
  row("EfaPlacement", "ec2:RunInstances", { of: "placement-group", without: APART }),
  row("RunFromAnyImage", "ec2:RunInstances", { of: "image", needs: EVERY_LAUNCH, trial: "dry-run" }),
  row("Run", "ec2:RunInstances", { needs: EVERY_LAUNCH, trial: "dry-run" }),
  row("Lifecycle", "ec2:StartInstances", { needs: ["stop-start"], trial: "dry-run" }),
  row("Lifecycle", "ec2:StopInstances", { needs: ["stop-start"], trial: "dry-run" }),
  row("Lifecycle", "ec2:TerminateInstances", { needs: ["terminate", "jobs"], trial: "dry-run" }),
  row("Tag", "ec2:CreateTags", { of: "instance", on: [INSTANCE], needs: EVERY_LAUNCH, trial: "dry-run" }),
  row("Tag", "ec2:CreateTags", {
    of: "volume",
    on: [VOLUME],
    needs: EVERY_LAUNCH,
    trial: "dry-run",
    without: "volumes carry no tags (an error with aws.enforce_tags: [volume])",
  }),
  row("Tag", "ec2:CreateTags", {
    of: "security-group",
    on: [GROUP],
    needs: EVERY_LAUNCH,
    trial: "dry-run",
    without: "new security groups carry no tags",
  }),
  row("SecurityGroups", "ec2:CreateSecurityGroup", { needs: EVERY_LAUNCH, trial: "dry-run" }),
  row("SecurityGroups", "ec2:AuthorizeSecurityGroupIngress", {
    on: [GROUP],
    needs: [...EVERY_LAUNCH, "ports"],
    trial: "dry-run",
  }),
  row("UseRole", "iam:GetRole", { needs: EVERY_LAUNCH, trial: "call" }),
  row("UseRole", "iam:PassRole", { needs: EVERY_LAUNCH, trial: "dry-run" }),
  row("UseProfile", "iam:GetInstanceProfile", { needs: EVERY_LAUNCH, trial: "call" }),
  row("Spot", "iam:CreateServiceLinkedRole", {
    needs: ["spot"],
    without: "spot works once the account has the service-linked role AWSServiceRoleForEC2Spot",
  }),
  row("AutoRole", "iam:CreateRole", { needs: ["role"] }),
  row("AutoRole", "iam:AttachRolePolicy", { needs: ["role"] }),
  row("AutoRole", "iam:PutRolePolicy", { needs: ["role"], without: "the new role cannot launch nodes by itself" }),
  row("AutoProfile", "iam:CreateInstanceProfile", { needs: ["role"] }),
  row("AutoProfile", "iam:AddRoleToInstanceProfile", { needs: ["role"] }),
  row("Ports", "ec2:DeleteSecurityGroup", { on: [GROUP], needs: ["ports"], trial: "dry-run" }),
  row("Ports", "ec2:ModifyInstanceAttribute", { on: [INSTANCE, GROUP], needs: ["ports"], trial: "dry-run" }),
  row("Ports", "ec2:RevokeSecurityGroupIngress", {
    on: [GROUP],
    trial: "dry-run",
    without: "a security group that lets in more by SSH than it should stays so",
  }),
  row("Efa", "ec2:AuthorizeSecurityGroupEgress", { trial: "dry-run", without: "EFA cannot be used" }),
  row("EfaPlacement", "ec2:CreatePlacementGroup", { without: APART }),
  row("EfaPlacement", "ec2:DeletePlacementGroup", { without: "placement groups are left; they cost nothing" }),
  row("Clone", "ec2:CreateImage", { needs: ["clone-disk"], trial: "dry-run" }),
  row("Clone", "ec2:CopyImage", { needs: ["clone-disk"], trial: "dry-run" }),
  row("Clone", "ec2:DeregisterImage", { needs: ["clone-disk"], trial: "dry-run" }),
  row("CloneCare", "ec2:DeleteSnapshot", {
    needs: ["clone-disk"],
    without: "the snapshot of a cloned disk stays, and costs money",
  }),
  row("Ssm", "ssm:StartSession", { needs: ["ssm"] }),
  row("SsmSessions", "ssmmessages:OpenDataChannel", { needs: ["ssm"] }),
  row("SsmSessions", "ssm:ResumeSession", { without: "a session whose connection breaks is lost, and SSH with it" }),
  row("SsmSessions", "ssm:TerminateSession", { without: "sessions end by themselves, minutes after SSH" }),
  row("SsmLook", "ssm:DescribeInstanceInformation", {
    without: "that a node's agent does not come up is found out only by the session",
  }),
  row("SsmRole", "iam:ListAttachedRolePolicies", {
    of: "ssm",
    without: "that the nodes' role lacks AmazonSSMManagedInstanceCore is not told",
  }),
  row("S3Objects", "s3:GetObject", { needs: ["s3-read"], trial: "call" }),
  row("S3Objects", "s3:PutObject", { needs: ["s3-write"] }),
  row("S3Objects", "s3:DeleteObject", { needs: ["s3-write"] }),
  row("S3Objects", "s3:AbortMultipartUpload", {
    needs: ["s3-write"],
    without: "a broken upload of a big file leaves its parts in the bucket",
  }),
  row("S3Objects", "s3:ListMultipartUploadParts", {
    needs: ["s3-write"],
    without: "an upload of a big file that was cut off is begun anew",
  }),
  row("S3Buckets", "s3:ListBucket", { needs: ["s3-read", "s3-write"], trial: "call" }),
  row("S3Buckets", "s3:GetBucketLocation", { needs: ["s3-read", "s3-write"], trial: "call" }),
  row("S3List", "s3:ListAllMyBuckets", {
    needs: ["s3-read"],
    trial: "call",
    without: "`sky check` cannot list buckets; those that tasks name work",
  }),
  row("S3Lend", "sts:GetFederationToken", {
    without: "keys of a user cannot be cut down to a bucket, so that `mode: MOUNT` needs a role",
  }),
  row("S3Manage", "s3:CreateBucket", { needs: ["buckets"] }),
  row("S3Manage", "s3:DeleteBucket", { needs: ["buckets"] }),
  row("S3Manage", "s3:PutBucketTagging", { needs: ["buckets"], without: "new buckets carry no labels" }),
  row("S3Care", "s3:PutBucketPublicAccessBlock", {
    needs: ["buckets"],
    without: "that a new bucket is closed to the public rests on S3's own default",
  }),
  row("S3Care", "s3:PutLifecycleConfiguration", {
    needs: ["buckets"],
    without: "parts of uploads that were cut off stay in new buckets, and cost, until the bucket is deleted",
  }),
  row("S3Care", "s3:ListBucketVersions", {
    needs: ["buckets"],
    without: "a bucket with old versions cannot be emptied, so it is not deleted",
  }),
  row("S3Care", "s3:ListBucketMultipartUploads", {
    needs: ["buckets"],
    without: "parts of broken uploads stay until their bucket is deleted",
  }),
  row("S3Versions", "s3:DeleteObjectVersion", {
    needs: ["buckets"],
    without: "a bucket with old versions cannot be emptied, so it is not deleted",
  }),
  row("EcrLogin", "ecr:GetAuthorizationToken", {
    without: "images of Amazon ECR are pulled with a login of the nodes or of the task's secrets only",
  }),
  // Asked of the login by ECR itself when the nodes pull.
  row("EcrPull", "ecr:BatchGetImage"),
  row("EcrPull", "ecr:GetDownloadUrlForLayer"),
  row("Kms", "kms:CreateGrant"),
  row("Kms", "kms:GenerateDataKeyWithoutPlaintext"),
  row("Kms", "kms:Decrypt"),
  row("Kms", "kms:DescribeKey"),
  row("Simulate", "iam:SimulatePrincipalPolicy"),
  row("Decode", "sts:DecodeAuthorizationMessage"),
  row("SetupRole", "iam:GetRole", { of: "setup", ...SETUP }),
  row("SetupRole", "iam:CreateRole", { of: "setup", ...SETUP }),
  row("SetupRole", "iam:TagRole", SETUP),
  row("SetupRole", "iam:PutRolePolicy", { of: "setup", ...SETUP }),
  row("SetupRole", "iam:GetRolePolicy", SETUP),
  row("SetupRole", "iam:AttachRolePolicy", { of: "setup", ...SETUP }),
  row("SetupRole", "iam:ListAttachedRolePolicies", SETUP),
  row("SetupRole", "iam:PassRole", { of: "setup", ...SETUP }),
  row("SetupProfile", "iam:GetInstanceProfile", { of: "setup", ...SETUP }),
  row("SetupProfile", "iam:CreateInstanceProfile", { of: "setup", ...SETUP }),
  row("SetupProfile", "iam:AddRoleToInstanceProfile", { of: "setup", ...SETUP }),
  row("SetupPolicy", "iam:GetPolicy", SETUP),
  row("SetupPolicy", "iam:GetPolicyVersion", SETUP),
  row("SetupPolicy", "iam:ListPolicyVersions", SETUP),
  row("SetupPolicy", "iam:CreatePolicy", SETUP),
  row("SetupPolicy", "iam:CreatePolicyVersion", SETUP),
  row("SetupPolicy", "iam:DeletePolicyVersion", SETUP),
  row("SetupSpot", "iam:CreateServiceLinkedRole", { of: "setup", ...SETUP }),
];
