import { join } from "node:path";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { AgentEvent, NodeConfig } from "../../shared/agent/protocol.ts";
import { AgentError } from "../../shared/errors.ts";
import type { Secret } from "../../shared/secret.ts";
import { clusterRef, type Cluster } from "../clusters/cluster.ts";
import type { AgentConnections } from "../operation.ts";
import type { Cloud, CloudContext, Instance } from "../ports/cloud.ts";
import { AGENT_OUTPUT, type Runner } from "../ports/runner.ts";
import { readBundle, type AgentBundle } from "../../platform/agent-bundle.ts";
import { clusterSsh, ensureClusterKey } from "./cluster-key.ts";
import { greet, isOutdated, retire, retireOutdatedWorker } from "./renew.ts";

/** How long a started agent may take to answer, and workers to dial in. */
const AGENT_START_MS = 30_000;

export interface BringUp {
  readonly cluster: Cluster;
  readonly cloud: Cloud;
  readonly token: Secret;
  /** Told before the workers are waited for. */
  readonly onWorkers?: () => void;
}

/** What bringing up needs of the server. */
export interface BringUpContext {
  readonly agents: Pick<AgentConnections, "connect" | "drop">;
  readonly agentBundle: string;
  /** With the signal that ends the wait. */
  readonly cloudContext: CloudContext;
}

/**
 * Makes sure that an agent of this release runs on every node and that the workers are connected to the head. An agent of another
 * release ends and leaves its tasks to the new one. What is right already is left alone, so a second call is cheap. Returns the
 * connection to the head.
 */
export async function bringUp(request: BringUp, context: BringUpContext): Promise<AgentPeer> {
  const { signal } = context.cloudContext;
  const { cluster } = request;
  const [head, ...workers] = cluster.instances;
  if (head === undefined) throw new AgentError(`Cluster ${cluster.row.name} has no nodes.`);
  const bundle = readBundle(context.agentBundle);
  const start = { ...request, bundle };
  const agent = await bringUpHead(start, head, context);
  if (workers.length === 0) return agent;
  const hello = await greet(agent, signal);
  // The head may not have noticed yet that a worker is gone, in whose place there is another machine.
  const isRight = ({ index, internalIp }: Instance): boolean =>
    hello.nodes.some(
      (node) => node.index === index && node.ip === internalIp && node.isAlive && !isOutdated(node, bundle),
    );
  request.onWorkers?.();
  const missing = workers.filter((worker) => !isRight(worker));
  const dialIn = { host: head.internalIp, port: hello.workerPort };
  await Promise.all(missing.map((worker) => startNode(start, { instance: worker, head: dialIn }, context)));
  if (missing.length > 0) await waitForNodes(agent, { count: cluster.row.num_nodes, bundle }, signal);
  return agent;
}

interface Start extends BringUp {
  readonly bundle: AgentBundle;
}

async function bringUpHead(start: Start, head: Instance, context: BringUpContext): Promise<AgentPeer> {
  const { name } = start.cluster.row;
  const { signal } = context.cloudContext;
  const running = await context.agents.connect(name, { signal }).catch((error: unknown) => {
    if (error instanceof AgentError) return undefined;
    throw error;
  });
  if (running !== undefined) {
    const { nodes } = await greet(running, signal);
    if (!nodes.some((node) => node.index === 0 && isOutdated(node, start.bundle))) return running;
    await retire(running, renewKey(start), signal);
    context.agents.drop(name);
  }
  const runner = await startNode(start, { instance: head }, context);
  try {
    return await context.agents.connect(name, { waitMs: AGENT_START_MS, signal });
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    throw new AgentError(`The agent of ${name}'s head node does not answer.`, {
      cause: error,
      hint: await lastWords(runner, head),
    });
  }
}

async function lastWords(runner: Runner, instance: Instance): Promise<string> {
  const file = outputFile(instance);
  const result = await runner.run(["tail", "-n", "5", file]).catch(() => undefined);
  const text = result?.stdout.trim() ?? "";
  return text === "" ? `Its output is in ${file}.` : `Last lines of ${file}:\n${text}`;
}

function outputFile(instance: Instance): string {
  return join(instance.agentRoot, AGENT_OUTPUT);
}

function renewKey({ bundle }: Start): string {
  return `renew-${bundle.hash}`;
}

/** Places what the node needs and starts its agent, which ends by itself when another one runs there. */
async function startNode(
  start: Start,
  node: { readonly instance: Instance; readonly head?: { readonly host: string; readonly port: number } },
  context: BringUpContext,
): Promise<Runner> {
  const { instance } = node;
  const { cluster, cloud, bundle } = start;
  const { signal } = context.cloudContext;
  const runner = await cloud.runner(instance, clusterRef(cluster.row), context.cloudContext);
  if (node.head !== undefined) await retireOutdatedWorker(runner, { instance, bundle, key: renewKey(start) }, signal);
  const config = Buffer.from(`${JSON.stringify(nodeConfig(start, node), null, 2)}\n`);
  await runner.startAgent({ root: instance.agentRoot, installDir: instance.installDir, bundle, config }, { signal });
  return runner;
}

function nodeConfig(
  start: Start,
  node: { readonly instance: Instance; readonly head?: { readonly host: string; readonly port: number } },
): NodeConfig {
  const { instance, head } = node;
  const { row } = start.cluster;
  return {
    clusterName: row.name,
    clusterNameOnCloud: row.name_on_cloud,
    clusterToken: start.token.reveal(),
    index: instance.index,
    numNodes: row.num_nodes,
    ip: instance.internalIp,
    resources: instance.resources,
    ...(instance.deviceIndices === undefined ? {} : { deviceIndices: instance.deviceIndices }),
    home: instance.home,
    ...(head === undefined ? {} : { head }),
    ...(instance.sshUser === undefined || row.secret_path === null
      ? {}
      : { sshKeys: [ensureClusterKey(clusterSsh(row.secret_path), row.name_on_cloud)] }),
    power: start.cloud.power,
    ...(start.cloud.notices === undefined || !start.cluster.offer.useSpot ? {} : { notices: start.cloud.notices }),
    clusterInfo: clusterInfo(start),
  };
}

/** With the original's spacing and key order, because tasks compare it as text. */
function clusterInfo(start: Start): string {
  const { row } = start.cluster;
  const pairs: readonly (readonly [string, string | null])[] = [
    ["cluster_name", row.name],
    ["cloud", start.cloud.displayName],
    ["region", row.region],
    ["zone", row.zone],
  ];
  return `{${pairs.map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(", ")}}`;
}

interface Wanted {
  readonly count: number;
  readonly bundle: AgentBundle;
}

/** Waits for the event of the last missing node. */
async function waitForNodes(agent: AgentPeer, wanted: Wanted, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(AGENT_START_MS);
  const watch = agent.open("watch", { afterSeq: 0 }, { signal: AbortSignal.any([deadline, signal]) });
  try {
    await watch.start;
    if (await isComplete(agent, wanted, signal)) return;
    for await (const event of watch.events as AsyncIterable<AgentEvent>) {
      if (event.type === "node" && (await isComplete(agent, wanted, signal))) return;
    }
    throw new AgentError("The head node's agent ended while the workers were connecting.");
  } catch (error) {
    if (!deadline.aborted || signal.aborted) throw error;
    const { nodes } = await greet(agent, signal);
    const missing = Array.from({ length: wanted.count }, (_, index) => index).filter(
      (index) => !nodes.some((node) => node.index === index && node.isAlive),
    );
    throw new AgentError(
      `Node ${missing.join(", ")} did not connect to the head node within ${AGENT_START_MS / 1000} seconds.`,
      { cause: error, hint: "The agent's output on that node is in agent.out and agent.log of its agent directory." },
    );
  } finally {
    watch.cancel();
  }
}

async function isComplete(agent: AgentPeer, { count, bundle }: Wanted, signal: AbortSignal): Promise<boolean> {
  const { nodes } = await greet(agent, signal);
  // A worker that was told to end may be there for another moment.
  return nodes.filter((node) => node.isAlive && (node.index === 0 || !isOutdated(node, bundle))).length >= count;
}
