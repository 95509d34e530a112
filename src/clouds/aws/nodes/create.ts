import { CreateTagsCommand, RunInstancesCommand, type Instance as Ec2Instance } from "@aws-sdk/client-ec2";
import { CloudAccessError, NoCapacityError } from "../../../shared/errors.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { classify, toCoreError } from "./failures.ts";
import type { NodeSubnet } from "./network.ts";
import { ensurePlacementGroup, UNKNOWN_GROUP } from "./placement.ts";
import { headTags, toTags } from "./node-tags.ts";
import { codeOf, pauseMs, withEc2, type Region } from "./region.ts";
import { runRequest, type NodeBatch, type NodeForm, type RunPlace } from "./run-request.ts";

/** How long EC2 may take to know an instance profile that was just made. */
const PROFILE_MS = 90_000;
/** The same for a placement group. */
const PLACEMENT_MS = 30_000;

export interface CreateWish {
  readonly form: NodeForm;
  readonly batches: readonly NodeBatch[];
  readonly subnets: readonly NodeSubnet[];
  readonly groupIn: (subnet: NodeSubnet) => Promise<string>;
  readonly token: string;
  readonly enforcesVolumeTags: boolean;
  /** Whether the instance profile was just made. */
  readonly isProfileNew: boolean;
}

/** Accounts whose credentials may not tag volumes, so that it is not tried, and told, at each launch. */
export type UntaggedVolumes = Set<string>;

/**
 * Creates the nodes in the first subnet that has room for all of them. Throws what the port's `run` throws; batches that were created
 * before a failure are left to the caller.
 */
export async function createNodes(region: Region, wish: CreateWish, untagged: UntaggedVolumes): Promise<void> {
  const refusals: string[] = [];
  for (const subnet of wish.subnets) {
    let isClean = true;
    try {
      const groupId = await wish.groupIn(subnet);
      for (const batch of wish.batches) {
        const created = await createBatch(region, wish, { subnet, groupId, batch }, untagged);
        isClean = false;
        await markHead(region, wish, batch, created);
      }
      return;
    } catch (error) {
      // Nodes of an earlier batch would be made once more in another subnet: the caller takes them back first.
      if (!isClean || classify(error) !== "capacity")
        throw toCoreError(error, { region: region.name, what: describe(wish, subnet), isClean });
      refusals.push(`${subnet.zone}: ${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new NoCapacityError(refusals.join("\n"), { isClean: true });
}

function describe({ form, batches }: CreateWish, subnet: NodeSubnet): string {
  const count = batches.reduce((sum, batch) => sum + batch.indices.length, 0);
  return `${count}x ${form.instanceType}${form.useSpot ? "[spot]" : ""} in ${subnet.zone}`;
}

interface BatchPlace {
  readonly subnet: NodeSubnet;
  readonly groupId: string;
  readonly batch: NodeBatch;
}

async function createBatch(
  region: Region,
  wish: CreateWish,
  { subnet, groupId, batch }: BatchPlace,
  untagged: UntaggedVolumes,
): Promise<readonly Ec2Instance[]> {
  const place = { subnet, groupId, tagsVolumes: wish.enforcesVolumeTags || !untagged.has(region.account) };
  try {
    return await send(region, wish, batch, place);
  } catch (error) {
    if (!isVolumeTagRefusal(error)) throw error;
    if (wish.enforcesVolumeTags) throw volumeTagsRequired(region, error);
    untagged.add(region.account);
    region.say(
      `Volumes will not be tagged in ${region.name}: the credentials in use are not allowed to tag EBS volumes. Grant ec2:CreateTags on "arn:aws:ec2:*:${region.account}:volume/*" to tag them. Instances are still tagged and the cluster is unaffected.`,
    );
    return send(region, wish, batch, { ...place, tagsVolumes: false });
  }
}

/** Sends the launch; its client token makes it safe to repeat. A new profile or placement group is waited for by asking again. */
async function send(
  region: Region,
  wish: CreateWish,
  batch: NodeBatch,
  place: RunPlace,
): Promise<readonly Ec2Instance[]> {
  const input = runRequest(wish.form, batch, place, wish.token);
  const startMs = region.clock.now();
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await withEc2(region, (ec2, http) => ec2.send(new RunInstancesCommand(input), http));
      return answer.Instances ?? [];
    } catch (error) {
      if (region.clock.now() >= startMs + patienceMs(error, wish)) throw error;
      // The one of an earlier cluster of the name may have been on its way out when it was found.
      if (codeOf(error) === UNKNOWN_GROUP) await ensurePlacementGroup(region, wish.form.placementGroup ?? "");
    }
    await region.clock.sleep(pauseMs(attempt, region.random()), { signal: region.signal });
  }
}

/** How long what the launch names may be unknown to EC2; 0 = the refusal has another reason. */
function patienceMs(error: unknown, { form, isProfileNew }: CreateWish): number {
  if (isUnknownProfile(error)) return isProfileNew ? PROFILE_MS : 0;
  return codeOf(error) === UNKNOWN_GROUP && form.placementGroup !== undefined ? PLACEMENT_MS : 0;
}

function isUnknownProfile(error: unknown): boolean {
  return (
    codeOf(error) === "InvalidParameterValue" &&
    error instanceof Error &&
    /iam ?instance ?profile/iu.test(error.message)
  );
}

function isVolumeTagRefusal(error: unknown): error is AwsDeniedError {
  if (!(error instanceof AwsDeniedError)) return false;
  return error.denial.action === "ec2:CreateTags" && (error.denial.resource ?? "").includes(":volume/");
}

function volumeTagsRequired(region: Region, error: AwsDeniedError): CloudAccessError {
  return new CloudAccessError(
    `Volume tagging is required in ${region.name} by aws.enforce_tags, but the credentials in use are not allowed to tag EBS volumes. Grant ec2:CreateTags on "arn:aws:ec2:*:${region.account}:volume/*", or drop "volume" from aws.enforce_tags to launch with untagged volumes instead.`,
    { cause: error, denied: { action: error.denial.action } },
  );
}

/** Our own nodes are told apart by the index in their tags; SkyPilot's own releases look for these. */
async function markHead(
  region: Region,
  wish: CreateWish,
  { indices }: NodeBatch,
  created: readonly Ec2Instance[],
): Promise<void> {
  if (indices.length < 2 || !indices.includes(0)) return;
  const head = created.find((instance) => instance.AmiLaunchIndex === indices.indexOf(0));
  if (head?.InstanceId === undefined) return;
  const input = { Resources: [head.InstanceId], Tags: toTags(headTags(wish.form.tags.nameOnCloud)) };
  await withEc2(region, (ec2, http) => ec2.send(new CreateTagsCommand(input), http)).catch((error: unknown) => {
    // A new instance may be unknown to the next call for a moment; the index is in its tags already.
    if (!codeOf(error).startsWith("InvalidInstanceID.")) throw error;
  });
}
