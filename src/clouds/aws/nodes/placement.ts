import {
  CreatePlacementGroupCommand,
  DeletePlacementGroupCommand,
  DescribePlacementGroupsCommand,
  type Instance as Ec2Instance,
} from "@aws-sdk/client-ec2";
import { CloudAccessError, CloudBusyError, NoCapacityError, UnknownOutcomeError } from "../../../shared/errors.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { codeOf, pauseMs, withEc2, type Region } from "./region.ts";

const PREFIX = "sky-pg-";
const OWN_TAG = { Key: "skypilot", Value: "true" };
/** Instances stay in their group until they are terminated, which takes large ones minutes. */
const IN_USE_MS = 300_000;

/** The code with which EC2 does not know a group, for a moment also one that was just made. */
export const UNKNOWN_GROUP = "InvalidPlacementGroup.Unknown";

/** The group that holds a cluster's nodes close together; its name holds the owner's hash. */
export function placementGroupName(nameOnCloud: string): string {
  return `${PREFIX}${nameOnCloud}`;
}

/** Makes the group unless it is there; false = it cannot be had, and the user was told why. */
export async function ensurePlacementGroup(region: Region, name: string): Promise<boolean> {
  try {
    await create(region, name);
    return true;
  } catch (error) {
    // Of an earlier attempt of the same launch, or of nodes that the cluster has.
    if (codeOf(error) === "InvalidPlacementGroup.Duplicate") return true;
    const why = reasonOf(error);
    if (why === undefined) throw error;
    region.say(`The nodes are not placed close together: ${why}.`);
    return false;
  }
}

async function create(region: Region, name: string): Promise<void> {
  const input = { GroupName: name, Strategy: "cluster" } as const;
  const TagSpecifications = [{ ResourceType: "placement-group" as const, Tags: [OWN_TAG] }];
  await withEc2(region, (ec2, http) =>
    ec2.send(new CreatePlacementGroupCommand({ ...input, TagSpecifications }), http),
  ).catch((error: unknown) => {
    if (!(error instanceof AwsDeniedError) || error.denial.action !== "ec2:CreateTags") throw error;
    return withEc2(region, (ec2, http) => ec2.send(new CreatePlacementGroupCommand(input), http));
  });
}

/** Why an account cannot have the group; undefined for any other error. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof AwsDeniedError) return `${error.denial.action} is not allowed (sky aws policy --features efa)`;
  if (codeOf(error) === "PlacementGroupLimitExceeded") return "the account has as many placement groups as it may have";
  return undefined;
}

/**
 * Why nodes that were refused in a group may do better outside of it; undefined = they would not. Nothing was created by the refused
 * launch.
 */
export function whyApart(error: unknown, zone: string): string | undefined {
  if (error instanceof NoCapacityError && error.isClean) return `there is no room for that in ${zone}`;
  const { cause } = error instanceof Error ? error : {};
  const isOfGroup = cause instanceof AwsDeniedError && (cause.denial.resource ?? "").includes(":placement-group/");
  return error instanceof CloudAccessError && isOfGroup ? reasonOf(cause) : undefined;
}

/** Whether a failed launch certainly has no nodes on the way that want the group. */
export function isOver(error: unknown): boolean {
  return !(error instanceof UnknownOutcomeError || error instanceof CloudBusyError);
}

/** The group of the cluster that terminated nodes leave behind; undefined = there is none. */
export async function leftGroup(
  region: Region,
  nameOnCloud: string,
  nodes: readonly Ec2Instance[],
): Promise<string | undefined> {
  const name = placementGroupName(nameOnCloud);
  if (nodes.length > 0) return nodes.some(({ Placement }) => Placement?.GroupName === name) ? name : undefined;
  // The nodes may have gone by themselves.
  const found = await findGroups(region, name).catch((error: unknown): readonly string[] => {
    if (error instanceof AwsDeniedError) return [];
    throw error;
  });
  return found.at(0);
}

/** Names on the cloud of the clusters of the region that have a group. */
export async function findPlaced(region: Region): Promise<readonly string[]> {
  const found = await findGroups(region, `${PREFIX}*`);
  return found.map((name) => name.slice(PREFIX.length));
}

/** Only groups that SkyPilot made: EC2 takes wildcards in filters. */
async function findGroups(region: Region, name: string): Promise<readonly string[]> {
  const Filters = [
    { Name: "group-name", Values: [name] },
    ...(name.endsWith("*") ? [{ Name: `tag:${OWN_TAG.Key}`, Values: [OWN_TAG.Value] }] : []),
  ];
  const answer = await withEc2(region, (ec2, http) => ec2.send(new DescribePlacementGroupsCommand({ Filters }), http));
  return (answer.PlacementGroups ?? []).flatMap(({ GroupName }) => GroupName ?? []);
}

/**
 * Deletes a group, waiting until the nodes in it are gone. What cannot be deleted costs nothing, and the user is told. `isQuiet`: tries
 * once, and leaves a group that is in use.
 */
export async function deletePlacementGroup(
  region: Region,
  name: string,
  { isQuiet = false }: { readonly isQuiet?: boolean } = {},
): Promise<void> {
  const deadline = region.clock.now() + IN_USE_MS;
  for (let round = 1; ; round++) {
    try {
      await withEc2(region, (ec2, http) => ec2.send(new DeletePlacementGroupCommand({ GroupName: name }), http));
      return;
    } catch (error) {
      if (codeOf(error) === UNKNOWN_GROUP) return;
      const isInUse = codeOf(error) === "InvalidPlacementGroup.InUse";
      if (!isInUse && !(error instanceof AwsDeniedError)) throw error;
      if (isQuiet) return;
      if (!isInUse || region.clock.now() >= deadline) {
        const why = isInUse ? "it is still in use" : "the credentials in use may not delete it";
        region.say(`Placement group ${name} in ${region.name} is left (it costs nothing): ${why}.`);
        return;
      }
    }
    await region.clock.sleep(pauseMs(round, region.random()), { signal: region.signal });
  }
}
