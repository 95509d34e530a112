import { hostname, userInfo } from "node:os";
import type { NodeConfig, NodeInfo, NodeResources, Preemption } from "../../shared/agent/protocol.ts";
import type { RunNode } from "../jobs/job-run.ts";
import type { SchedulableNode } from "../jobs/scheduler.ts";
import type { ClusterNode } from "../node/cluster-node.ts";
import type { InsideNode } from "../inside/files.ts";
import { programHash } from "../node/program-hash.ts";

/** What a node says of itself when it joins. */
export interface MemberFacts {
  readonly index: number;
  readonly ip: string;
  readonly resources: NodeResources;
  readonly deviceIndices?: readonly number[];
  /** The program that its agent runs. */
  readonly bundle?: string;
  readonly arch?: string;
  /** Account of its tasks. */
  readonly user?: string;
  readonly hostname?: string;
}

/** A node of the cluster as the head sees it. */
export interface Member {
  readonly node: ClusterNode;
  readonly isAlive: boolean;
  /** Undefined until the node has joined for the first time. */
  readonly facts: MemberFacts | undefined;
}

export function factsOf(config: NodeConfig): MemberFacts {
  const { index, ip, resources, deviceIndices } = config;
  const bundle = programHash(process.argv[1] ?? "");
  return {
    index,
    ip,
    resources,
    ...(deviceIndices === undefined ? {} : { deviceIndices }),
    ...(bundle === undefined ? {} : { bundle }),
    arch: process.arch,
    user: userInfo().username,
    hostname: hostname(),
  };
}

/** Nodes as others log in to them, also those that are away. */
export function listInsideNodes(members: readonly Member[]): InsideNode[] {
  return members.flatMap(({ facts }) => {
    if (facts === undefined) return [];
    const { index, ip, user, hostname: name } = facts;
    return [{ index, ip, ...(user === undefined ? {} : { user }), ...(name === undefined ? {} : { hostname: name }) }];
  });
}

/** Nodes that are connected to the head, the head included. */
export function listNodeInfos(
  members: readonly Member[],
  announced: (index: number) => Preemption | undefined = () => undefined,
): NodeInfo[] {
  return members.flatMap(({ facts, isAlive }) => {
    if (facts === undefined) return [];
    const { index, ip, resources, bundle, arch } = facts;
    const preemption = announced(index);
    return [
      {
        index,
        ip,
        resources,
        isAlive,
        ...(bundle === undefined ? {} : { bundle }),
        ...(arch === undefined ? {} : { arch }),
        ...(preemption === undefined ? {} : { preemption }),
      },
    ];
  });
}

export function listSchedulable(members: readonly Member[]): SchedulableNode[] {
  return listNodeInfos(members);
}

export function listRunNodes(members: readonly Member[]): RunNode[] {
  return members.map(({ node, facts }) => ({ node, ip: facts?.ip ?? "", deviceIndices: facts?.deviceIndices }));
}
