import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CopyImageCommand,
  CreateImageCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DeregisterImageCommand,
  ModifyInstanceAttributeCommand,
  RevokeSecurityGroupIngressCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  type EC2Client,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import type { Facts } from "./facts.ts";
import { tryDry, type Outcome } from "./outcome.ts";

/** Ids of the right form that no account has. */
const STAND_IN = {
  instance: "i-00000000000000000",
  group: "sg-00000000000000000",
  image: "ami-00000000000000000",
} as const;

/** One dry run; its outcome belongs to the row with this id. */
export interface Trial {
  readonly id: string;
  readonly run: () => Promise<Outcome>;
}

/** The dry runs of everything but RunInstances, on what exists in the region or else on stand-ins. */
export function dryTrials(
  ec2: EC2Client,
  facts: Facts,
  options: { readonly signal?: AbortSignal } = {},
): readonly Trial[] {
  const http = options.signal === undefined ? {} : { abortSignal: options.signal };
  return [...instanceTrials(ec2, facts, http), ...groupTrials(ec2, facts, http), ...imageTrials(ec2, facts, http)];
}

interface Http {
  readonly abortSignal?: AbortSignal;
}

function instanceTrials(ec2: EC2Client, facts: Facts, http: Http): readonly Trial[] {
  const id = facts.instance?.InstanceId ?? STAND_IN.instance;
  const isOnStandIn = facts.instance?.InstanceId === undefined;
  const ids = { InstanceIds: [id], DryRun: true };
  // The groups that it has already: even a server that ignores DryRun changes nothing.
  const groups = facts.instance?.SecurityGroups?.flatMap((each) => each.GroupId ?? []) ?? [];
  const ownGroups = new Set(facts.securityGroups.filter(isOwnGroup).map((each) => each.GroupId));
  const dry = (row: string, call: () => Promise<unknown>): Trial => ({
    id: row,
    run: () => tryDry(call, { isOnStandIn }),
  });
  const tag = { Key: "skypilot-permission-check", Value: "1" };
  const regroup = { InstanceId: id, Groups: groups.length > 0 ? groups : [STAND_IN.group], DryRun: true };
  return [
    dry("ec2:StartInstances", () => ec2.send(new StartInstancesCommand(ids), http)),
    dry("ec2:StopInstances", () => ec2.send(new StopInstancesCommand(ids), http)),
    dry("ec2:TerminateInstances", () => ec2.send(new TerminateInstancesCommand(ids), http)),
    dry("ec2:CreateTags/instance", () =>
      ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [tag], DryRun: true }), http),
    ),
    {
      id: "ec2:ModifyInstanceAttribute",
      run: () =>
        tryDry(() => ec2.send(new ModifyInstanceAttributeCommand(regroup), http), {
          isOnStandIn: isOnStandIn || !regroup.Groups.every((group) => ownGroups.has(group)),
        }),
    },
    dry("ec2:CreateImage", () =>
      ec2.send(new CreateImageCommand({ InstanceId: id, Name: "skypilot-permission-check", DryRun: true }), http),
    ),
  ];
}

function groupTrials(ec2: EC2Client, facts: Facts, http: Http): readonly Trial[] {
  const own = facts.securityGroups.find(isOwnGroup);
  const group = own ?? facts.securityGroups[0];
  const id = group?.GroupId ?? STAND_IN.group;
  // A group that is not SkyPilot's may be closed to a principal whose rights go by tags.
  const isOnStandIn = own === undefined;
  const vpc = (facts.vpcs.find((each) => each.IsDefault === true) ?? facts.vpcs[0])?.VpcId;
  const create = {
    GroupName: "skypilot-permission-check",
    Description: "Never created: a dry run.",
    DryRun: true,
    ...(vpc === undefined ? {} : { VpcId: vpc }),
  };
  const tags = [{ ResourceType: "security-group" as const, Tags: [{ Key: "skypilot", Value: "true" }] }];
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "192.0.2.1/32" }] };
  const rules = { GroupId: id, IpPermissions: [ssh], DryRun: true };
  return [
    { id: "ec2:CreateSecurityGroup", run: () => tryDry(() => ec2.send(new CreateSecurityGroupCommand(create), http)) },
    {
      id: "ec2:CreateTags/security-group",
      run: () => tryDry(() => ec2.send(new CreateSecurityGroupCommand({ ...create, TagSpecifications: tags }), http)),
    },
    {
      id: "ec2:AuthorizeSecurityGroupIngress",
      run: () =>
        tryDry(() => ec2.send(new AuthorizeSecurityGroupIngressCommand(rules), http), {
          isOnStandIn: group === undefined,
        }),
    },
    {
      id: "ec2:AuthorizeSecurityGroupEgress",
      run: () =>
        tryDry(() => ec2.send(new AuthorizeSecurityGroupEgressCommand(rules), http), {
          isOnStandIn: group === undefined,
        }),
    },
    {
      id: "ec2:RevokeSecurityGroupIngress",
      run: () => tryDry(() => ec2.send(new RevokeSecurityGroupIngressCommand(rules), http), { isOnStandIn }),
    },
    {
      id: "ec2:DeleteSecurityGroup",
      run: () =>
        tryDry(() => ec2.send(new DeleteSecurityGroupCommand({ GroupId: id, DryRun: true }), http), { isOnStandIn }),
    },
  ];
}

function isOwnGroup(group: SecurityGroup): boolean {
  return group.Tags?.some((tag) => tag.Key === "skypilot" && tag.Value === "true") ?? false;
}

function imageTrials(ec2: EC2Client, facts: Facts, http: Http): readonly Trial[] {
  const image = facts.image?.ImageId ?? STAND_IN.image;
  const copy = {
    Name: "skypilot-permission-check",
    SourceImageId: image,
    SourceRegion: facts.region,
    DryRun: true,
  };
  return [
    {
      id: "ec2:CopyImage",
      run: () =>
        tryDry(() => ec2.send(new CopyImageCommand(copy), http), { isOnStandIn: facts.image?.ImageId === undefined }),
    },
    {
      id: "ec2:DeregisterImage",
      // Always on the stand-in: an image that can be tried belongs to somebody else.
      run: () =>
        tryDry(() => ec2.send(new DeregisterImageCommand({ ImageId: STAND_IN.image, DryRun: true }), http), {
          isOnStandIn: true,
        }),
    },
  ];
}
