import {
  RunInstancesCommand,
  type _InstanceType,
  type EC2Client,
  type RunInstancesCommandInput,
} from "@aws-sdk/client-ec2";
import { ROLE_NAME } from "../actions.ts";
import type { Facts } from "./facts.ts";
import { outcomeFor, tryDry, type Outcome } from "./outcome.ts";

const OWN_TAGS = [{ Key: "skypilot-cluster-name", Value: "permission-check" }];
const INSTANCE_TAGS = { ResourceType: "instance" as const, Tags: OWN_TAGS };
const VOLUME_TAGS = { ResourceType: "volume" as const, Tags: OWN_TAGS };

/**
 * Dry runs of RunInstances. One launch is checked for several actions (the launch itself, its tags, the role that is passed), of
 * which AWS names the first that fails, so it is tried as the product launches and then with one thing more or less.
 */
export async function tryLaunch(
  ec2: EC2Client,
  facts: Facts,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ReadonlyMap<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const imageId = facts.image?.ImageId;
  if (imageId === undefined) {
    const open: Outcome = { kind: "open", why: `no image was found in ${facts.region} to try a launch with` };
    return new Map(LAUNCH_ROWS.map((id) => [id, open]));
  }
  const http = options.signal === undefined ? {} : { abortSignal: options.signal };
  const attempt = (more: Partial<RunInstancesCommandInput>): Promise<Outcome> =>
    tryDry(() => ec2.send(new RunInstancesCommand({ ...bareLaunch(facts, imageId), ...more }), http));

  const tagged = await attempt({ TagSpecifications: [INSTANCE_TAGS] });
  outcomes.set("ec2:CreateTags/instance", outcomeFor("ec2:CreateTags/instance", tagged));
  const isTagRefused = isRefusalOf(tagged, "ec2:CreateTags");
  const base = isTagRefused ? await attempt({}) : tagged;
  for (const id of ["ec2:RunInstances", "ec2:RunInstances/image"]) outcomes.set(id, outcomeFor(id, base));
  if (base.kind !== "allowed") return outcomes;

  const tags = isTagRefused ? [] : [INSTANCE_TAGS];
  const [volumes, role] = await Promise.all([
    attempt({ TagSpecifications: [...tags, VOLUME_TAGS] }),
    facts.profileArn === undefined
      ? undefined
      : attempt({
          IamInstanceProfile: { Arn: facts.profileArn },
          ...(tags.length === 0 ? {} : { TagSpecifications: tags }),
        }),
  ]);
  outcomes.set("ec2:CreateTags/volume", outcomeFor("ec2:CreateTags/volume", volumes));
  const unmade: Outcome = { kind: "open", why: `there is no instance profile ${ROLE_NAME} to launch with yet` };
  outcomes.set("iam:PassRole", outcomeFor("iam:PassRole", role ?? unmade));
  return outcomes;
}

/** One dry run of a launch into the default VPC, with the tags without which the product launches nothing. */
export function tryBareLaunch(
  ec2: EC2Client,
  { imageId, instanceType }: { readonly imageId: string; readonly instanceType: string },
  options: { readonly signal?: AbortSignal } = {},
): Promise<Outcome> {
  const http = options.signal === undefined ? {} : { abortSignal: options.signal };
  const input: RunInstancesCommandInput = {
    ImageId: imageId,
    InstanceType: instanceType as _InstanceType,
    MinCount: 1,
    MaxCount: 1,
    DryRun: true,
    TagSpecifications: [INSTANCE_TAGS],
  };
  return tryDry(() => ec2.send(new RunInstancesCommand(input), http));
}

const LAUNCH_ROWS = [
  "ec2:RunInstances",
  "ec2:RunInstances/image",
  "ec2:CreateTags/instance",
  "ec2:CreateTags/volume",
] as const;

function bareLaunch(facts: Facts, imageId: string): RunInstancesCommandInput {
  const vpc = facts.vpcs.find((each) => each.IsDefault === true)?.VpcId;
  const subnet = facts.subnets.find((each) => each.VpcId === vpc) ?? facts.subnets[0];
  const group = facts.securityGroups.find((each) => each.VpcId === subnet?.VpcId)?.GroupId;
  return {
    ImageId: imageId,
    InstanceType: "m6i.large",
    MinCount: 1,
    MaxCount: 1,
    DryRun: true,
    ...(subnet?.SubnetId === undefined ? {} : { SubnetId: subnet.SubnetId }),
    ...(group === undefined ? {} : { SecurityGroupIds: [group] }),
  };
}

function isRefusalOf(outcome: Outcome, action: string): boolean {
  return outcome.kind === "denied" && outcome.denial.action === action;
}
