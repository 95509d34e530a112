import { paginateDescribeInstances, type Filter, type Instance as Ec2Instance } from "@aws-sdk/client-ec2";
import type { Instance, InstanceState } from "../../../core/ports/cloud.ts";
import { CLUSTER_TAG, indicesOf, NAME_TAG, nodeFactsOf, tagOf } from "./node-tags.ts";
import { collect, withEc2, type Region } from "./region.ts";

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html */
const SELF_STOPPED = "Client.InstanceInitiatedShutdown";
/** States in which an instance, or its disk, is still there. */
const ALIVE = ["pending", "running", "stopping", "stopped"];
/** AWS takes no more values in one filter. */
const NAMES_PER_CALL = 200;
const PAGE = 1000;

/** Every instance that carries one of the clusters' names, with its disk; terminated ones are left out. */
export async function findInstances(region: Region, names: readonly string[]): Promise<readonly Ec2Instance[]> {
  return describe(region, [
    { Name: `tag:${CLUSTER_TAG}`, Values: [...names] },
    { Name: "instance-state-name", Values: ALIVE },
  ]);
}

/** The nodes of each of the clusters, in their order. */
export async function findNodes(region: Region, names: readonly string[]): Promise<readonly (readonly Instance[])[]> {
  const parts = Array.from({ length: Math.ceil(names.length / NAMES_PER_CALL) }, (_, index) =>
    names.slice(index * NAMES_PER_CALL, (index + 1) * NAMES_PER_CALL),
  );
  const found = await Promise.all(parts.map((part) => findInstances(region, part)));
  const byName = Map.groupBy(found.flat(), (instance) => tagOf(instance, CLUSTER_TAG) ?? "");
  return names.map((name) => toNodes(name, byName.get(name) ?? []));
}

/** Every instance in the region that SkyPilot made. */
export function findAllInstances(region: Region): Promise<readonly Ec2Instance[]> {
  return describe(region, [
    { Name: "tag-key", Values: [CLUSTER_TAG] },
    { Name: "instance-state-name", Values: ALIVE },
  ]);
}

/** Every instance in the region that runs or is about to, whoever made it. */
export function findRunning(region: Region): Promise<readonly Ec2Instance[]> {
  return describe(region, [{ Name: "instance-state-name", Values: ["pending", "running"] }]);
}

/** Why nodes of the cluster are missed: those that lost the tag by which they are found, then what AWS says of those that ended. */
export async function findLossReasons(region: Region, name: string): Promise<readonly string[]> {
  const [untagged, ended] = await Promise.all([findUntagged(region, name), findEndReasons(region, name)]);
  return [...untagged, ...ended];
}

/** They run on and cost money, but nobody finds them any more. */
async function findUntagged(region: Region, name: string): Promise<readonly string[]> {
  const named = await describe(region, [
    { Name: `tag:${NAME_TAG}`, Values: [name] },
    { Name: "instance-state-name", Values: ALIVE },
  ]);
  const lost = named.filter((instance) => tagOf(instance, CLUSTER_TAG) === undefined);
  return lost.map(
    ({ InstanceId = "", State }) =>
      `${InstanceId} is ${State?.Name ?? "there"}, but its tag ${CLUSTER_TAG} was removed; set it to ${name} again, or terminate it.`,
  );
}

/** What AWS says of instances of the cluster that ended within the last hour; the newest first. */
async function findEndReasons(region: Region, name: string): Promise<readonly string[]> {
  const ended = await describe(region, [
    { Name: `tag:${CLUSTER_TAG}`, Values: [name] },
    { Name: "instance-state-name", Values: ["shutting-down", "terminated"] },
  ]);
  const newest = ended.toSorted((one, other) => (other.LaunchTime?.getTime() ?? 0) - (one.LaunchTime?.getTime() ?? 0));
  return newest.flatMap(({ InstanceId = "", StateReason }) => {
    const text = END_REASONS[StateReason?.Code ?? ""];
    return text === undefined ? [] : [`AWS says of ${InstanceId}: ${text} (${StateReason?.Code}).`];
  });
}

/** Only what the user did not ask for is told. */
const END_REASONS: Readonly<Record<string, string>> = {
  "Server.SpotInstanceTermination": "preempted, AWS took the spot instance back",
  "Server.SpotInstanceShutdown": "preempted, AWS took the spot instance back",
  "Server.InsufficientInstanceCapacity": "there was no capacity for it",
  "Server.InternalError": "an internal error of AWS ended it",
  "Server.ScheduledStop": "it was stopped by a scheduled retirement",
  "Client.VolumeLimitExceeded": "the limit of volumes was reached",
  "Client.InvalidSnapshot.NotFound": "the snapshot of its image was not found",
  "Client.InternalError": "its disk could not be used (a KMS key without rights, or an image that is broken)",
  "Client.InstanceInitiatedShutdown": "it powered itself off",
};

async function describe(region: Region, Filters: Filter[]): Promise<readonly Ec2Instance[]> {
  const reservations = await withEc2(region, (client, http) =>
    collect(paginateDescribeInstances({ client, pageSize: PAGE }, { Filters }, http), (page) => page.Reservations),
  );
  return reservations.flatMap((each) => each.Instances ?? []);
}

/** The nodes of one cluster, by index. */
export function toNodes(nameOnCloud: string, instances: readonly Ec2Instance[]): readonly Instance[] {
  const indices = indicesOf(instances);
  return instances
    .map((instance) => toNode(instance, { nameOnCloud, index: indices.get(instance.InstanceId ?? "") ?? 0 }))
    .toSorted((one, other) => one.index - other.index || one.id.localeCompare(other.id));
}

function toNode(instance: Ec2Instance, node: { readonly nameOnCloud: string; readonly index: number }): Instance {
  const facts = nodeFactsOf(instance);
  const user = facts?.sshUser ?? "ubuntu";
  const home = homeOf(user);
  return {
    id: instance.InstanceId ?? "",
    index: node.index,
    state: stateOf(instance),
    internalIp: instance.PrivateIpAddress ?? "",
    externalIp: instance.PublicIpAddress ?? null,
    sshPort: 22,
    sshUser: user,
    ...(facts?.via === undefined ? {} : { via: facts.via }),
    ...(instance.StateReason?.Code === SELF_STOPPED ? { isSelfStopped: true } : {}),
    ...(instance.LaunchTime === undefined ? {} : { startedAtMs: instance.LaunchTime.getTime() }),
    ...createdAt(instance),
    agentRoot: `${home}/.sky/clusters/${node.nameOnCloud}/node${node.index}`,
    installDir: installDirOf(user),
    home,
    resources: facts?.resources ?? { cpus: cpusOf(instance), memoryGib: 0, accelerators: {} },
  };
}

/** LaunchTime is that of the last start; the first network interface never leaves its instance. */
function createdAt({ NetworkInterfaces = [] }: Ec2Instance): Pick<Instance, "createdAtMs"> {
  const first = NetworkInterfaces.find(({ Attachment }) => Attachment?.DeviceIndex === 0);
  const time = first?.Attachment?.AttachTime;
  return time === undefined ? {} : { createdAtMs: time.getTime() };
}

/** Where a node keeps the agent's runtimes and programs. */
export function installDirOf(user: string): string {
  return `${homeOf(user)}/.sky/agent`;
}

/** Home of a user on Ubuntu's and Amazon's images. */
export function homeOf(user: string): string {
  return user === "root" ? "/root" : `/home/${user}`;
}

function stateOf(instance: Ec2Instance): InstanceState {
  const name = instance.State?.Name;
  return name === "pending" || name === "running" || name === "stopping" || name === "stopped" ? name : "terminated";
}

/** vCPUs. */
export function cpusOf(instance: Ec2Instance): number {
  const { CoreCount = 0, ThreadsPerCore = 1 } = instance.CpuOptions ?? {};
  return CoreCount * ThreadsPerCore;
}
