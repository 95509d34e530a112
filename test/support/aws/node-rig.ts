import { AwsAuth } from "../../../src/clouds/aws/auth/auth-session.ts";
import { createAwsNodes, type AwsNodes } from "../../../src/clouds/aws/nodes/nodes.ts";
import type { CloudContext, ClusterRef, ClusterSpec, NodeWish } from "../../../src/core/ports/cloud.ts";
import { SshConnections } from "../../../src/runners/ssh/connections.ts";
import { RuntimeSource } from "../../../src/runners/runtime/source.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { FaultProxy } from "./fault-proxy.ts";
import type { Moto } from "./moto.ts";
import { PLAIN_WISH } from "../../fakes/node-wish.ts";

export const KEY_VARIABLES = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };

/** AWS without anything of an earlier test, behind a proxy of its own, which the test closes. */
export async function freshProxy(moto: Moto): Promise<FaultProxy> {
  await moto.reset();
  await moto.connectDefaultVpc();
  return FaultProxy.open(moto.url);
}

/** The nodes of AWS against a server that plays AWS. */
export function openNodes(
  url: string,
  keys: Readonly<Record<string, string>> = KEY_VARIABLES,
  registry = "http://127.0.0.1:1/",
): AwsNodes {
  const env = { AWS_ENDPOINT_URL: url, AWS_REGION: "us-east-1", ...keys };
  return createAwsNodes({
    auth: new AwsAuth({ home: "/nonexistent", env, clock: systemClock }),
    clock: systemClock,
    env: {},
    doorPath: "/nonexistent/door",
    skyProgram: ["/nonexistent/sky"],
    fetchText: () => Promise.resolve("203.0.113.7\n"),
    machine: { user: "alice", hostname: "laptop" },
    connections: new SshConnections({ controlDir: "/nonexistent", env: {}, clock: systemClock, random: Math.random }),
    runtimes: new RuntimeSource({ cacheDir: "/nonexistent", registry }),
  });
}

export interface Told {
  readonly context: CloudContext;
  /** What the user was told. */
  readonly lines: readonly string[];
}

export function contextWith(aws: object = {}): Told {
  const lines: string[] = [];
  const signal = new AbortController().signal;
  const say = (line: string): number => lines.push(line);
  return { lines, context: { workspace: "default", config: { aws }, env: {}, signal, say } };
}

export interface SpecChanges extends Partial<Omit<ClusterSpec, "node" | "offer">> {
  readonly node?: Partial<NodeWish>;
  readonly offer?: Partial<ClusterSpec["offer"]>;
}

/** A cluster of m6i.large in us-east-1a. */
export function clusterSpec(name: string, numNodes: number, changes: SpecChanges = {}): ClusterSpec {
  const resources = { cpus: 2, memoryGib: 8, accelerators: {} };
  return {
    clusterName: name,
    nameOnCloud: `${name}-0a1b2c3d`,
    numNodes,
    create: Array.from({ length: numNodes }, (_, index) => index),
    start: [],
    perNode: resources,
    ports: [],
    labels: {},
    ...changes,
    offer: {
      cloud: "aws",
      region: "us-east-1",
      zone: "us-east-1a",
      instanceType: "m6i.large",
      resources,
      useSpot: false,
      priceUsdPerHour: 0.096,
      ...changes.offer,
    },
    node: { ...PLAIN_WISH, ...changes.node },
  };
}

export function refOf(spec: ClusterSpec): ClusterRef {
  const { clusterName, nameOnCloud, offer } = spec;
  return { clusterName, nameOnCloud, region: offer.region, zone: offer.zone };
}
