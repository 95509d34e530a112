import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { AgentEvent, HelloResult, NodeConfig } from "../../shared/agent/protocol.ts";
import { AGENT_PROTOCOL_VERSION } from "../../shared/agent/protocol.ts";
import { AgentError } from "../../shared/errors.ts";
import type { Secret } from "../../shared/secret.ts";
import { clusterRef, cloudContext, type Cluster } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, Instance } from "../ports/cloud.ts";
import type { Runner } from "../ports/runner.ts";

/** How long a started agent may take to answer, and workers to dial in. */
const AGENT_START_MS = 30_000;

export interface BringUp {
  readonly cluster: Cluster;
  readonly cloud: Cloud;
  readonly token: Secret;
  /** Told before the workers are waited for. */
  readonly onWorkers?: () => void;
}

/**
 * Makes sure that an agent runs on every node and that the workers are connected to the head. What runs already is left alone, so
 * a second call is cheap. Returns the connection to the head.
 */
export async function bringUp(request: BringUp, context: OperationContext): Promise<AgentPeer> {
  const { cluster } = request;
  const [head, ...workers] = cluster.instances;
  if (head === undefined) throw new AgentError(`Cluster ${cluster.row.name} has no nodes.`);
  const bundle = readBundle(context.agentBundle);
  const start = { ...request, bundle };
  const agent = await bringUpHead(start, head, context);
  if (workers.length === 0) return agent;
  const hello = await greet(agent, context);
  const isAlive = (index: number): boolean => hello.nodes.some((node) => node.index === index && node.isAlive);
  request.onWorkers?.();
  const missing = workers.filter((worker) => !isAlive(worker.index));
  const dialIn = { host: head.internalIp, port: hello.workerPort };
  await Promise.all(missing.map((worker) => startNode(start, { instance: worker, head: dialIn }, context)));
  if (missing.length > 0) await waitForNodes(agent, cluster.row.num_nodes, context);
  return agent;
}

interface Start extends BringUp {
  readonly bundle: { readonly path: string; readonly hash: string };
}

function readBundle(path: string): { readonly path: string; readonly hash: string } {
  try {
    return { path, hash: createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16) };
  } catch (error) {
    throw new AgentError(`The node agent is missing: ${path} cannot be read.`, {
      cause: error,
      hint: "Run `npm run build` in the checkout, or reinstall the package.",
    });
  }
}

async function bringUpHead(start: Start, head: Instance, context: OperationContext): Promise<AgentPeer> {
  const { name } = start.cluster.row;
  const { signal } = context;
  const running = await context.agents.connect(name, { signal }).catch((error: unknown) => {
    if (error instanceof AgentError) return undefined;
    throw error;
  });
  if (running !== undefined) return running;
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
  return join(instance.agentRoot, "agent.out");
}

/** Places what the node needs and starts its agent, which ends by itself when another one runs there. */
async function startNode(
  start: Start,
  node: { readonly instance: Instance; readonly head?: { readonly host: string; readonly port: number } },
  context: OperationContext,
): Promise<Runner> {
  const { instance } = node;
  const { cluster, cloud, bundle } = start;
  const runner = await cloud.runner(instance, clusterRef(cluster.row), cloudContext(context));
  const program = join(instance.installDir, bundle.hash, "agent.cjs");
  const config = nodeConfig(start, node);
  await runner.upload(
    [
      { dest: program, mode: 0o644, source: { path: bundle.path } },
      {
        dest: join(instance.agentRoot, "node.json"),
        mode: 0o600,
        source: { bytes: Buffer.from(`${JSON.stringify(config, null, 2)}\n`) },
      },
    ],
    { signal: context.signal },
  );
  const command = [...(await runner.nodeCommand()), program, "daemon", "--root", instance.agentRoot];
  await runner.startDetached(command, { logFile: outputFile(instance) });
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
    power: start.cloud.power,
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

function greet(agent: AgentPeer, context: OperationContext): Promise<HelloResult> {
  return agent.call("hello", { protocol: AGENT_PROTOCOL_VERSION }, { signal: context.signal });
}

/** Waits for the event of the last missing node. */
async function waitForNodes(agent: AgentPeer, count: number, context: OperationContext): Promise<void> {
  const deadline = AbortSignal.timeout(AGENT_START_MS);
  const watch = agent.open("watch", { afterSeq: 0 }, { signal: AbortSignal.any([deadline, context.signal]) });
  try {
    await watch.start;
    if (await isComplete(agent, count, context)) return;
    for await (const event of watch.events as AsyncIterable<AgentEvent>) {
      if (event.type === "node" && (await isComplete(agent, count, context))) return;
    }
    throw new AgentError("The head node's agent ended while the workers were connecting.");
  } catch (error) {
    if (!deadline.aborted || context.signal.aborted) throw error;
    const { nodes } = await greet(agent, context);
    const missing = Array.from({ length: count }, (_, index) => index).filter(
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

async function isComplete(agent: AgentPeer, count: number, context: OperationContext): Promise<boolean> {
  const { nodes } = await greet(agent, context);
  return nodes.filter((node) => node.isAlive).length >= count;
}
