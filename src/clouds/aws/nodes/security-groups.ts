import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DeleteSecurityGroupCommand,
  paginateDescribeSecurityGroups,
  RevokeSecurityGroupIngressCommand,
  type IpPermission,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import { OperationFailedError } from "../../../shared/errors.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { compareRules, type GroupRules } from "./group-rules.ts";
import { codeOf, collect, pauseMs, withEc2, type Region } from "./region.ts";

const DESCRIPTION = "Auto-created security group for Ray workers";
const OWN_TAG = { Key: "skypilot", Value: "true" };
/** How often a change is tried while others change the same group, or while AWS does not see a new one everywhere. */
const ROUNDS = 6;

export interface GroupWish {
  readonly vpcId: string;
  readonly name: string;
  readonly rules: GroupRules;
  /** Our own groups are brought in line with `rules` each time; one that the user named only when we create it. */
  readonly isManaged: boolean;
  /** EFA needs all traffic out to the group itself. */
  readonly usesEfa: boolean;
}

/** Groups with one of these names in all VPCs of the region. */
export function findGroups(region: Region, names: readonly string[]): Promise<readonly SecurityGroup[]> {
  const Filters = [{ Name: "group-name", Values: [...names] }];
  return withEc2(region, (client, http) =>
    collect(paginateDescribeSecurityGroups({ client }, { Filters }, http), (page) => page.SecurityGroups),
  );
}

/** Groups of the region that SkyPilot made for single clusters or for all. */
export function findOwnGroups(region: Region): Promise<readonly SecurityGroup[]> {
  const Filters = [
    { Name: "tag:skypilot", Values: ["true"] },
    { Name: "group-name", Values: ["sky-sg-*"] },
  ];
  return withEc2(region, (client, http) =>
    collect(paginateDescribeSecurityGroups({ client }, { Filters }, http), (page) => page.SecurityGroups),
  );
}

/** The id of the wished group, created and brought in line as needed. `known` are groups that were just seen. */
export async function ensureGroup(region: Region, wish: GroupWish, known: readonly SecurityGroup[]): Promise<string> {
  const isWished = (group: SecurityGroup): boolean => group.VpcId === wish.vpcId && group.GroupName === wish.name;
  let groups = known;
  for (let round = 1; ; round++) {
    const found = groups.find(isWished);
    try {
      if (found?.GroupId !== undefined) {
        if (wish.isManaged) await reconcile(region, { ...found, GroupId: found.GroupId }, wish);
        return found.GroupId;
      }
      return await create(region, wish);
    } catch (error) {
      // Somebody else made or changed it at the same time, or another part of AWS does not know it yet.
      const isRace = /^Invalid(?:Group\.Duplicate|Permission\.Duplicate|Group\.NotFound|GroupId\.NotFound)$/u;
      if (!isRace.test(codeOf(error)) || round >= ROUNDS) throw error;
    }
    await region.clock.sleep(pauseMs(round, region.random()), { signal: region.signal });
    groups = await findGroups(region, [wish.name]);
  }
}

async function create(region: Region, wish: GroupWish): Promise<string> {
  const input = { GroupName: wish.name, VpcId: wish.vpcId, Description: DESCRIPTION };
  const tags = [{ ResourceType: "security-group" as const, Tags: [OWN_TAG] }];
  const answer = await withEc2(region, (ec2, http) =>
    ec2.send(new CreateSecurityGroupCommand({ ...input, TagSpecifications: tags }), http),
  ).catch((error: unknown) => {
    // The policy that SkyPilot published allows the group but not its tag.
    if (!(error instanceof AwsDeniedError) || error.denial.action !== "ec2:CreateTags") throw error;
    return withEc2(region, (ec2, http) => ec2.send(new CreateSecurityGroupCommand(input), http));
  });
  const GroupId = answer.GroupId ?? "";
  await allow(region, GroupId, compareRules(GroupId, [], wish.rules).missing);
  if (wish.usesEfa) await allowOut(region, GroupId);
  return GroupId;
}

type FoundGroup = SecurityGroup & { readonly GroupId: string };

async function reconcile(region: Region, group: FoundGroup, wish: GroupWish): Promise<void> {
  const { missing, surplus } = compareRules(group.GroupId, group.IpPermissions ?? [], wish.rules);
  const isOutOpen = (group.IpPermissionsEgress ?? []).some((rule) =>
    (rule.UserIdGroupPairs ?? []).some((pair) => pair.GroupId === group.GroupId),
  );
  await Promise.all([
    allow(region, group.GroupId, missing),
    wish.usesEfa && !isOutOpen ? allowOut(region, group.GroupId) : undefined,
  ]);
  await forbid(region, group, surplus);
}

async function allow(region: Region, GroupId: string, rules: readonly IpPermission[]): Promise<void> {
  if (rules.length === 0) return;
  const input = { GroupId, IpPermissions: [...rules] };
  await whenVisible(region, () =>
    withEc2(region, (ec2, http) => ec2.send(new AuthorizeSecurityGroupIngressCommand(input), http)),
  );
}

async function allowOut(region: Region, GroupId: string): Promise<void> {
  const input = { GroupId, IpPermissions: [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId }] }] };
  await whenVisible(region, () =>
    withEc2(region, (ec2, http) => ec2.send(new AuthorizeSecurityGroupEgressCommand(input), http)),
  ).catch((error: unknown) => {
    if (codeOf(error) !== "InvalidPermission.Duplicate") throw error;
  });
}

/** A group that was just created may be unknown to the next call for a moment. */
async function whenVisible(region: Region, call: () => Promise<unknown>): Promise<void> {
  for (let round = 1; ; round++) {
    try {
      await call();
      return;
    } catch (error) {
      if (!/^InvalidGroup(?:Id)?\.NotFound$/u.test(codeOf(error)) || round >= ROUNDS) throw error;
    }
    await region.clock.sleep(pauseMs(round, region.random()), { signal: region.signal });
  }
}

/** Closes what is open too widely. Without the permission the rules stay, and the user is told. */
async function forbid(region: Region, group: FoundGroup, rules: readonly IpPermission[]): Promise<void> {
  if (rules.length === 0) return;
  const input = { GroupId: group.GroupId, IpPermissions: [...rules] };
  try {
    await withEc2(region, (ec2, http) => ec2.send(new RevokeSecurityGroupIngressCommand(input), http));
  } catch (error) {
    if (codeOf(error) === "InvalidPermission.NotFound") return;
    if (!(error instanceof AwsDeniedError)) throw error;
    const blocks = rules.flatMap((rule) => [...(rule.IpRanges ?? []), ...(rule.Ipv6Ranges ?? [])].map(blockOf));
    region.say(
      `Security group ${group.GroupName ?? group.GroupId} still allows SSH from ${blocks.join(", ")}: the credentials in use may not close it (ec2:RevokeSecurityGroupIngress).`,
    );
  }
}

function blockOf(range: { readonly CidrIp?: string | undefined; readonly CidrIpv6?: string | undefined }): string {
  return range.CidrIp ?? range.CidrIpv6 ?? "";
}

/**
 * Deletes a group, waiting until nothing uses it any more. Succeeds when it is gone. Throws OperationFailedError when it is still in
 * use at the end, after `limitMs`.
 */
export async function deleteGroup(
  region: Region,
  group: { readonly id: string; readonly name: string },
  limitMs: number,
): Promise<void> {
  const { clock, signal } = region;
  const deadline = clock.now() + limitMs;
  for (let round = 1; ; round++) {
    try {
      await withEc2(region, (ec2, http) => ec2.send(new DeleteSecurityGroupCommand({ GroupId: group.id }), http));
      return;
    } catch (error) {
      const code = codeOf(error);
      if (/^InvalidGroup(?:Id)?\.NotFound$/u.test(code)) return;
      if (code !== "DependencyViolation") throw error;
      if (clock.now() > deadline) {
        throw new OperationFailedError(
          `Cannot delete security group ${group.name} after ${round} attempts. Please delete it manually.`,
          { cause: error, hint: `aws ec2 delete-security-group --group-id ${group.id} --region ${region.name}` },
        );
      }
    }
    await clock.sleep(pauseMs(round, region.random()), { signal });
  }
}
