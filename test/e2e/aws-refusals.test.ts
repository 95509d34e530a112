import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import * as ec2 from "@aws-sdk/client-ec2";
import * as iam from "@aws-sdk/client-iam";
import * as s3 from "@aws-sdk/client-s3";
import { GetServiceQuotaCommand } from "@aws-sdk/client-service-quotas";
import * as ssm from "@aws-sdk/client-ssm";
import { DecodeAuthorizationMessageCommand, GetFederationTokenCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACTIONS, FEATURES, type Feature, type Tier } from "../../src/clouds/aws/actions.ts";
import { ServerTime } from "../../src/clouds/aws/auth/server-time.ts";
import { ecrRegistryOf, fetchEcrLogin } from "../../src/clouds/aws/ecr-login.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { openClients, type AwsClients } from "../../src/clouds/aws/clients.ts";
import { AwsDeniedError } from "../../src/clouds/aws/policy/denied-error.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { matchesPattern } from "../../src/clouds/aws/policy/remedy.ts";
import { Gate } from "../support/aws/gate.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import type { Statement } from "../support/aws/policy-evaluator.ts";

const ACCOUNT = "123456789012";
const ROLE = { RoleName: "skypilot-v1" };
const PROFILE = { InstanceProfileName: "skypilot-v1" };
const POLICY = { PolicyArn: `arn:aws:iam::${ACCOUNT}:policy/skypilot-user` };
const DOCUMENT = JSON.stringify({ Version: "2012-10-17", Statement: [] });
const IDS = { InstanceIds: ["i-0123456789abcdef0"] };
const GROUP = { GroupId: "sg-0123456789abcdef0" };
const LAUNCH = { ImageId: "ami-1", MinCount: 1, MaxCount: 1, InstanceType: "m6i.large" } as const;
const TAG = { Resources: IDS.InstanceIds, Tags: [{ Key: "a", Value: "b" }] };
const OBJECT = { Bucket: "data-bucket", Key: "k" };
const IMAGE = `${ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/team/little:2`;
const BUCKET = { Bucket: "data-bucket" };

type Call = (clients: AwsClients) => Promise<unknown>;

// A client takes hundreds of kinds of commands, which have no type in common.
function onEc2(command: object): Call {
  return async (clients) => (await clients.ec2()).send(command as never);
}

function onIam(command: object): Call {
  return async (clients) => (await clients.iam()).send(command as never);
}

function onS3(command: object): Call {
  return async (clients) => (await clients.s3()).send(command as never);
}

function onSsm(command: object): Call {
  return async (clients) => (await clients.ssm()).send(command as never);
}

/** A call that needs each action, as the product makes it. */
const calls: Readonly<Record<string, Call>> = {
  "ec2:DescribeRegions": onEc2(new ec2.DescribeRegionsCommand({})),
  "ec2:DescribeAvailabilityZones": onEc2(new ec2.DescribeAvailabilityZonesCommand({})),
  "ec2:DescribeInstances": onEc2(new ec2.DescribeInstancesCommand({})),
  "ec2:DescribeImages": onEc2(new ec2.DescribeImagesCommand({ Owners: ["self"] })),
  "ec2:DescribeVpcs": onEc2(new ec2.DescribeVpcsCommand({})),
  "ec2:DescribeSubnets": onEc2(new ec2.DescribeSubnetsCommand({})),
  "ec2:DescribeRouteTables": onEc2(new ec2.DescribeRouteTablesCommand({})),
  "ec2:DescribeSecurityGroups": onEc2(new ec2.DescribeSecurityGroupsCommand({})),
  "ec2:DescribeInstanceTypes": onEc2(new ec2.DescribeInstanceTypesCommand({})),
  "ec2:DescribeCapacityReservations": onEc2(new ec2.DescribeCapacityReservationsCommand({})),
  "ec2:DescribeVpcEndpoints": onEc2(new ec2.DescribeVpcEndpointsCommand({})),
  "ec2:DeleteSnapshot": onEc2(new ec2.DeleteSnapshotCommand({ SnapshotId: "snap-00000000000000000" })),
  "servicequotas:GetServiceQuota": async (clients) =>
    (await clients.quotas()).send(new GetServiceQuotaCommand({ ServiceCode: "ec2", QuotaCode: "L-1216C47A" })),
  "ec2:RunInstances": onEc2(new ec2.RunInstancesCommand(LAUNCH)),
  "ec2:StartInstances": onEc2(new ec2.StartInstancesCommand(IDS)),
  "ec2:StopInstances": onEc2(new ec2.StopInstancesCommand(IDS)),
  "ec2:TerminateInstances": onEc2(new ec2.TerminateInstancesCommand(IDS)),
  "ec2:CreateTags": onEc2(new ec2.CreateTagsCommand(TAG)),
  "ec2:CreateSecurityGroup": onEc2(new ec2.CreateSecurityGroupCommand({ GroupName: "g", Description: "d" })),
  "ec2:AuthorizeSecurityGroupIngress": onEc2(new ec2.AuthorizeSecurityGroupIngressCommand(GROUP)),
  "ec2:RevokeSecurityGroupIngress": onEc2(new ec2.RevokeSecurityGroupIngressCommand(GROUP)),
  "ec2:AuthorizeSecurityGroupEgress": onEc2(new ec2.AuthorizeSecurityGroupEgressCommand(GROUP)),
  "ec2:CreatePlacementGroup": onEc2(
    new ec2.CreatePlacementGroupCommand({ GroupName: "sky-pg-mine-0a1b2c3d", Strategy: "cluster" }),
  ),
  "ec2:DeletePlacementGroup": onEc2(new ec2.DeletePlacementGroupCommand({ GroupName: "sky-pg-mine-0a1b2c3d" })),
  "ec2:DescribePlacementGroups": onEc2(new ec2.DescribePlacementGroupsCommand({})),
  "ec2:DeleteSecurityGroup": onEc2(new ec2.DeleteSecurityGroupCommand(GROUP)),
  "ec2:ModifyInstanceAttribute": onEc2(
    new ec2.ModifyInstanceAttributeCommand({ InstanceId: IDS.InstanceIds[0], Groups: [GROUP.GroupId] }),
  ),
  "ec2:CreateImage": onEc2(new ec2.CreateImageCommand({ InstanceId: IDS.InstanceIds[0], Name: "n" })),
  "ec2:CopyImage": onEc2(new ec2.CopyImageCommand({ Name: "n", SourceImageId: "ami-1", SourceRegion: "us-east-2" })),
  "ec2:DeregisterImage": onEc2(new ec2.DeregisterImageCommand({ ImageId: "ami-1" })),
  // The role is passed by a launch: AWS names it, not the launch.
  "iam:PassRole": onEc2(new ec2.RunInstancesCommand({ ...LAUNCH, IamInstanceProfile: { Name: "skypilot-v1" } })),
  "iam:GetRole": onIam(new iam.GetRoleCommand(ROLE)),
  "iam:GetInstanceProfile": onIam(new iam.GetInstanceProfileCommand(PROFILE)),
  "iam:CreateServiceLinkedRole": onIam(
    new iam.CreateServiceLinkedRoleCommand({ AWSServiceName: "spot.amazonaws.com" }),
  ),
  "iam:CreateRole": onIam(new iam.CreateRoleCommand({ ...ROLE, AssumeRolePolicyDocument: DOCUMENT })),
  "iam:AttachRolePolicy": onIam(new iam.AttachRolePolicyCommand({ ...ROLE, ...POLICY })),
  "iam:PutRolePolicy": onIam(new iam.PutRolePolicyCommand({ ...ROLE, PolicyName: "p", PolicyDocument: DOCUMENT })),
  "iam:CreateInstanceProfile": onIam(new iam.CreateInstanceProfileCommand(PROFILE)),
  "iam:AddRoleToInstanceProfile": onIam(new iam.AddRoleToInstanceProfileCommand({ ...PROFILE, ...ROLE })),
  "iam:TagRole": onIam(new iam.TagRoleCommand({ ...ROLE, Tags: [] })),
  "iam:GetRolePolicy": onIam(new iam.GetRolePolicyCommand({ ...ROLE, PolicyName: "p" })),
  "iam:ListAttachedRolePolicies": onIam(new iam.ListAttachedRolePoliciesCommand(ROLE)),
  "iam:GetPolicy": onIam(new iam.GetPolicyCommand(POLICY)),
  "iam:GetPolicyVersion": onIam(new iam.GetPolicyVersionCommand({ ...POLICY, VersionId: "v1" })),
  "iam:ListPolicyVersions": onIam(new iam.ListPolicyVersionsCommand(POLICY)),
  "iam:CreatePolicy": onIam(new iam.CreatePolicyCommand({ PolicyName: "skypilot-user", PolicyDocument: DOCUMENT })),
  "iam:CreatePolicyVersion": onIam(new iam.CreatePolicyVersionCommand({ ...POLICY, PolicyDocument: DOCUMENT })),
  "iam:DeletePolicyVersion": onIam(new iam.DeletePolicyVersionCommand({ ...POLICY, VersionId: "v1" })),
  "iam:SimulatePrincipalPolicy": onIam(
    new iam.SimulatePrincipalPolicyCommand({
      PolicySourceArn: `arn:aws:iam::${ACCOUNT}:user/u`,
      ActionNames: ["s3:GetObject"],
    }),
  ),
  "sts:DecodeAuthorizationMessage": async (clients) =>
    (await clients.sts()).send(new DecodeAuthorizationMessageCommand({ EncodedMessage: "e" })),
  "sts:GetFederationToken": async (clients) => (await clients.sts()).send(new GetFederationTokenCommand({ Name: "n" })),
  "ssm:StartSession": onSsm(new ssm.StartSessionCommand({ Target: "i-1", DocumentName: "AWS-StartSSHSession" })),
  "ssm:ResumeSession": onSsm(new ssm.ResumeSessionCommand({ SessionId: "u-1" })),
  "ssm:TerminateSession": onSsm(new ssm.TerminateSessionCommand({ SessionId: "u-1" })),
  "ssm:DescribeInstanceInformation": onSsm(new ssm.DescribeInstanceInformationCommand({})),
  "ecr:GetAuthorizationToken": async ({ session }) => {
    const [registry, agents] = [ecrRegistryOf(IMAGE), { http: new HttpAgent(), https: new HttpsAgent() }];
    if (registry === undefined) throw new Error(`${IMAGE} is not of ECR.`);
    const load = { agents, time: new ServerTime(systemClock), signal: new AbortController().signal };
    await fetchEcrLogin(registry, { session, load });
  },
  "s3:GetObject": onS3(new s3.GetObjectCommand(OBJECT)),
  "s3:PutObject": onS3(new s3.PutObjectCommand({ ...OBJECT, Body: "b" })),
  "s3:DeleteObject": onS3(new s3.DeleteObjectCommand(OBJECT)),
  "s3:AbortMultipartUpload": onS3(new s3.AbortMultipartUploadCommand({ ...OBJECT, UploadId: "u" })),
  "s3:ListMultipartUploadParts": onS3(new s3.ListPartsCommand({ ...OBJECT, UploadId: "u" })),
  "s3:ListBucket": onS3(new s3.ListObjectsV2Command(BUCKET)),
  "s3:GetBucketLocation": onS3(new s3.GetBucketLocationCommand(BUCKET)),
  "s3:ListAllMyBuckets": onS3(new s3.ListBucketsCommand({})),
  "s3:CreateBucket": onS3(new s3.CreateBucketCommand(BUCKET)),
  "s3:DeleteBucket": onS3(new s3.DeleteBucketCommand(BUCKET)),
  "s3:PutBucketPublicAccessBlock": onS3(
    new s3.PutPublicAccessBlockCommand({ ...BUCKET, PublicAccessBlockConfiguration: {} }),
  ),
  "s3:PutLifecycleConfiguration": onS3(
    new s3.PutBucketLifecycleConfigurationCommand({ ...BUCKET, LifecycleConfiguration: { Rules: [] } }),
  ),
  "s3:ListBucketVersions": onS3(new s3.ListObjectVersionsCommand(BUCKET)),
  "s3:ListBucketMultipartUploads": onS3(new s3.ListMultipartUploadsCommand(BUCKET)),
  "s3:DeleteObjectVersion": onS3(new s3.DeleteObjectCommand({ ...OBJECT, VersionId: "v" })),
  "s3:PutBucketTagging": onS3(new s3.PutBucketTaggingCommand({ ...BUCKET, Tagging: { TagSet: [] } })),
};

/** Checked where a WebSocket is opened (Session Manager), when EC2 calls KMS for the user, or when nodes pull. */
const NOT_CALLED = [
  "ssmmessages:OpenDataChannel",
  ...ACTIONS.filter((row) => row.sid === "Kms" || row.sid === "EcrPull").map((row) => row.action),
];

const actions = [...new Set(ACTIONS.map((row) => row.action))].filter((action) => !NOT_CALLED.includes(action));

function without(action: string): readonly Statement[] {
  const tiers: readonly Tier[] = ["user", "admin-setup"];
  const policies = tiers.flatMap((tier): readonly Statement[] => {
    const features = Object.keys(FEATURES) as Feature[];
    return buildPolicy({ tier, features, account: ACCOUNT, regions: [], isTagScoped: false }).Statement;
  });
  return policies.flatMap((each) => {
    const spelled = [each.Action]
      .flat()
      .flatMap((name) => (name.endsWith("*") ? actions.filter((known) => matchesPattern(name, known)) : [name]));
    const left = spelled.filter((name) => name !== action);
    return left.length === 0 ? [] : [{ ...each, Action: left }];
  });
}

describe.skipIf(findMoto() === undefined)("a refusal at run time (moto)", () => {
  let moto: Moto;
  let gate: Gate;

  beforeAll(async () => {
    moto = await Moto.start();
    gate = await Gate.open(moto.url);
  });
  afterAll(async () => {
    await gate?.close();
    moto?.stop();
  });

  async function refusal(action: string): Promise<AwsDeniedError> {
    const clients = openClients(gate.session(gate.user("u", without(action))));
    try {
      const failed: unknown = await calls[action]?.(clients).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failed instanceof AwsDeniedError) return failed;
      throw new Error(`${action} was not refused: ${String(failed)}`);
    } finally {
      clients.close();
    }
  }

  it("has a call for every action of the table", () => {
    expect(Object.keys(calls).toSorted()).toEqual(actions.toSorted());
  });

  it.each(actions)("of %s names it, and a statement that allows it", async (action) => {
    const error = await refusal(action);
    expect(error.denial.action).toBe(action);
    expect(error.message).toMatch(new RegExp(`^AWS refused ${action}(?: on \\S+)? to \\S`, "u"));
    expect(error.hint).toContain(`"Action":"${action}"`);
    expect(error.code).toBe("PERMISSION_DENIED");
  });

  it.each(["iam:PassRole", "ec2:CreateTags", "ec2:RunInstances"])(
    "of %s is decoded when EC2 only sends an encoded message",
    async (action) => {
      gate.isTerse = true;
      const error = await refusal(action).finally(() => {
        gate.isTerse = false;
      });
      expect(error.denial).toMatchObject({ action, principal: `arn:aws:iam::${ACCOUNT}:user/u` });
      expect(error.denial.resource).toMatch(/^arn:aws:/u);
    },
  );
});
