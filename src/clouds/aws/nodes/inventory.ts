import { paginateDescribeInstances, type Filter, type Instance as Ec2Instance } from "@aws-sdk/client-ec2";
import type { Instance, InstanceState } from "../../../core/ports/cloud.ts";
import { CLUSTER_TAG, indicesOf, nodeFactsOf } from "./node-tags.ts";
import { collect, withEc2, type Region } from "./region.ts";

/** States in which an instance, or its disk, is still there. */
const ALIVE = ["pending", "running", "stopping", "stopped"];
/** AWS takes no more values in one filter. */
export const NAMES_PER_CALL = 200;
const PAGE = 1000;

/** Every instance that carries one of the clusters' names, with its disk; terminated ones are left out. */
export async function findInstances(region: Region, names: readonly string[]): Promise<readonly Ec2Instance[]> {
  return describe(region, [
    { Name: `tag:${CLUSTER_TAG}`, Values: [...names] },
    { Name: "instance-state-name", Values: ALIVE },
  ]);
}

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
    ...(instance.LaunchTime === undefined ? {} : { startedAtMs: instance.LaunchTime.getTime() }),
    agentRoot: `${home}/.sky/clusters/${node.nameOnCloud}/node${node.index}`,
    installDir: `${home}/.sky/agent`,
    home,
    resources: facts?.resources ?? { cpus: cpusOf(instance), memoryGib: 0, accelerators: {} },
  };
}

/** Home of a user on Ubuntu's and Amazon's images. */
function homeOf(user: string): string {
  return user === "root" ? "/root" : `/home/${user}`;
}

function stateOf(instance: Ec2Instance): InstanceState {
  const name = instance.State?.Name;
  return name === "pending" || name === "running" || name === "stopping" || name === "stopped" ? name : "terminated";
}

function cpusOf(instance: Ec2Instance): number {
  const { CoreCount = 0, ThreadsPerCore = 1 } = instance.CpuOptions ?? {};
  return CoreCount * ThreadsPerCore;
}
