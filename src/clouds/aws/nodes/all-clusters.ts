import { DescribeRegionsCommand, type Instance as Ec2Instance, type SecurityGroup } from "@aws-sdk/client-ec2";
import type { FoundCluster } from "../../../core/ports/cloud.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { openPortsOf } from "./group-rules.ts";
import { ownGroupName } from "./group-choice.ts";
import { findAllInstances, toNodes } from "./inventory.ts";
import { CLUSTER_TAG, originOf, tagOf } from "./node-tags.ts";
import { withEc2, type Region } from "./region.ts";
import { findPlaced } from "./placement.ts";
import { findOwnGroups } from "./security-groups.ts";

/** A cluster's own group ends in the hash of its owner. */
const OWN_GROUP = /^sky-sg-(.+-[0-9a-f]{8})$/u;

/**
 * Every cluster of every region that is enabled for the account. A region that refuses, or does not answer, is named to the user and
 * hides no other; throws when no region answers.
 */
export async function findClusters(
  home: Region,
  open: (region: string) => Promise<Region>,
): Promise<readonly FoundCluster[]> {
  const answer = await withEc2(home, (ec2, http) => ec2.send(new DescribeRegionsCommand({}), http));
  const names = (answer.Regions ?? []).flatMap(({ RegionName }) => RegionName ?? []);
  const looks = await Promise.allSettled(names.map(async (name) => findInRegion(await open(name))));
  home.signal.throwIfAborted();
  const failures = looks.flatMap((look, index) =>
    look.status === "rejected" ? [{ region: names[index] ?? "", reason: look.reason as unknown }] : [],
  );
  const [first] = failures;
  if (first !== undefined && failures.length === looks.length) throw first.reason;
  if (first !== undefined) home.say(`Not looked at: ${failures.map(renderFailure).join("; ")}.`);
  return looks.flatMap((look) => (look.status === "fulfilled" ? look.value : []));
}

function renderFailure({ region, reason }: { readonly region: string; readonly reason: unknown }): string {
  if (reason instanceof AwsDeniedError) return `${region} (${reason.denial.action} is not allowed there)`;
  return `${region} (${reason instanceof Error ? reason.message : String(reason)})`;
}

async function findInRegion(region: Region): Promise<readonly FoundCluster[]> {
  const [instances, groups, placed] = await Promise.all([
    findAllInstances(region),
    findOwnGroups(region),
    findPlaced(region),
  ]);
  const byName = Map.groupBy(instances, (instance) => tagOf(instance, CLUSTER_TAG) ?? "");
  const clusters = [...byName].map(([name, own]) => toCluster(region, { name, instances: own, groups }));
  const grouped = groups.flatMap(({ GroupName = "" }) => OWN_GROUP.exec(GroupName)?.[1] ?? []);
  const leftOver = [...new Set([...grouped, ...placed])].filter((name) => !byName.has(name));
  return [...clusters, ...leftOver.map((name) => toCluster(region, { name, instances: [], groups }))];
}

interface Things {
  readonly name: string;
  readonly instances: readonly Ec2Instance[];
  readonly groups: readonly SecurityGroup[];
}

function toCluster(region: Region, { name, instances, groups }: Things): FoundCluster {
  const [first] = instances;
  const tags = first === undefined ? {} : originOf(first);
  const group = groups.find((each) => each.GroupName === ownGroupName(name));
  return {
    ref: {
      clusterName: tags["cluster"] ?? name.replace(/-[0-9a-f]{8}$/u, ""),
      nameOnCloud: name,
      region: region.name,
      zone: first?.Placement?.AvailabilityZone ?? null,
    },
    instances: toNodes(name, instances),
    numNodes: Number(tags["nodes"] ?? instances.length),
    instanceType: first?.InstanceType ?? "",
    useSpot: first?.InstanceLifecycle === "spot",
    ports: openPortsOf(group?.IpPermissions ?? []),
    userName: first === undefined ? "" : (tagOf(first, "skypilot-user") ?? ""),
    origin: readOrigin(tags),
  };
}

function readOrigin({ user, workspace, hash }: Readonly<Record<string, string>>): FoundCluster["origin"] {
  if (user === undefined || workspace === undefined || hash === undefined) return undefined;
  return { userHash: user, workspace, clusterHash: hash };
}
