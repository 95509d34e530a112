import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Cloud, CloudContext, ClusterRef, ClusterSpec, Instance, InstanceState } from "../../core/ports/cloud.ts";
import { engineEnvironment } from "../../platform/container-record.ts";
import { removeOutsideLinks } from "../../platform/outside-links.ts";
import { removeTree } from "../../platform/remove-tree.ts";
import { nodeEnvironment } from "../../runners/local/environment.ts";
import { toFileError } from "../../runners/local/file-errors.ts";
import { assertInside } from "../../runners/local/inside.ts";
import { forgetPowerState, readPowerState } from "../../runners/local/power-state.ts";
import { createLocalRunner } from "../../runners/local/runner.ts";
import { readAllocation, readAllocations, writeAllocation, type Allocation, type LocalNode } from "./allocations.ts";
import { allocateNodes } from "./capacity.ts";
import { withFileLock } from "../../runners/local/lock.ts";
import { probeMachine, type Machine } from "./machine.ts";
import { offersOf } from "./offers.ts";
import { clusterDir, localPaths, nodeDir, type LocalPaths } from "./paths.ts";
import { endNodeProcesses } from "../../runners/local/processes.ts";
import { removeContainers } from "./containers.ts";

export interface LocalCloudOptions {
  /** HOME of the server's user; clusters live under `~/.sky/local`. */
  readonly home: string;
  /** The server's environment, of which nodes see a few variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Time between SIGTERM and SIGKILL for what is left on a node. */
  readonly graceMs?: number;
  /** Replaces the look at the machine in tests. */
  readonly probe?: () => Promise<Machine>;
}

/** Clusters on this machine: each node is a directory with its own HOME and agent. */
export function createLocalCloud(options: LocalCloudOptions): Cloud {
  const paths = localPaths(options.home);
  const lockFile = join(options.home, ".sky", "local.lock");
  const engineEnv = engineEnvironment(options.env);
  let machine: Promise<Machine> | undefined;
  const probe = (): Promise<Machine> => (machine ??= (options.probe ?? probeMachine)());
  const locked = <T>(context: CloudContext, work: () => T | Promise<T>): Promise<T> =>
    withFileLock(lockFile, context.signal, work).catch((error: unknown) => {
      throw toFileError(error, join(options.home, ".sky"));
    });

  return {
    name: "local",
    displayName: "Local",
    wireInfra: () => "ssh/local",
    power: "leave",
    unnamedUse: "alone",
    // Keeps the path of the agent's socket below the kernel's limit of 107 bytes.
    maxNameLength: 40,
    check: async () => ({ enabled: ["compute"], reasons: [], details: [describe(await probe())] }),
    identity: () => Promise.resolve(null),
    offers: async (request) => offersOf(request, await probe()),
    run: async (spec, _token, context) => {
      const facts = await probe();
      await locked(context, async () => {
        await removeSurplus(spec, { paths, context, graceMs: options.graceMs, engineEnv });
        runCluster(spec, facts, paths, options.home);
      });
    },
    query: async (cluster) => queryCluster(cluster, await probe(), paths),
    stop: async (cluster, context) => {
      await endProcesses(cluster, { paths, context, graceMs: options.graceMs, engineEnv });
      await locked(context, () => {
        const allocation = readAllocation(paths, cluster.nameOnCloud);
        if (allocation !== undefined) writeAllocation(paths, { ...allocation, state: "stopped" });
      });
    },
    terminate: async (cluster, context, only) => {
      const tools = { paths, context, graceMs: options.graceMs, engineEnv };
      const nodes = readAllocation(paths, cluster.nameOnCloud)?.nodes ?? [];
      const left = nodes.filter((node) => !isIn(only, cluster, node));
      if (left.length > 0) {
        await locked(context, () => removeNodes(cluster, left, tools));
        return;
      }
      await endProcesses(cluster, tools);
      await removeContainers(cluster.nameOnCloud, nodes, tools);
      await locked(context, async () => {
        removeLinks(cluster.nameOnCloud, nodes, paths);
        await removeTree(assertInside(paths.root, clusterDir(paths, cluster.nameOnCloud)));
      });
    },
    runner: (instance, cluster) => {
      const directory = nodeDir(paths, cluster.nameOnCloud, instance.index);
      const env = nodeEnvironment(options.env, { directory, home: instance.home });
      return Promise.resolve(createLocalRunner({ env, cwd: instance.home }));
    },
  };
}

function instanceId(cluster: ClusterRef, node: LocalNode): string {
  return `${cluster.nameOnCloud}-${node.index}`;
}

function isIn(only: readonly string[] | undefined, cluster: ClusterRef, node: LocalNode): boolean {
  return only === undefined || only.includes(instanceId(cluster, node));
}

/** Ends every node but `left`. */
async function removeNodes(cluster: ClusterRef, left: readonly LocalNode[], tools: NodeTools): Promise<void> {
  const { paths } = tools;
  const allocation = readAllocation(paths, cluster.nameOnCloud);
  if (allocation === undefined) return;
  const gone = allocation.nodes.filter((node) => !left.some((other) => other.index === node.index));
  await endNodes(cluster.nameOnCloud, gone, tools);
  await removeContainers(cluster.nameOnCloud, gone, tools);
  writeAllocation(paths, { ...allocation, nodes: left });
  removeLinks(cluster.nameOnCloud, gone, paths);
  await removeDirectories(cluster.nameOnCloud, gone, paths);
}

function removeLinks(nameOnCloud: string, nodes: readonly LocalNode[], paths: LocalPaths): void {
  removeOutsideLinks(...nodes.map(({ index }) => join(nodeDir(paths, nameOnCloud, index), "home")));
}

async function removeDirectories(nameOnCloud: string, nodes: readonly LocalNode[], paths: LocalPaths): Promise<void> {
  for (const { index } of nodes) await removeTree(assertInside(paths.root, nodeDir(paths, nameOnCloud, index)));
}

function describe(machine: Machine): string {
  const gpus = machine.gpus.length > 0 ? `, GPUs: ${machine.gpus.join(", ")}` : "";
  return `This machine: ${machine.cpus} CPUs, ${machine.memoryGib} GiB of memory${gpus}`;
}

function runCluster(spec: ClusterSpec, machine: Machine, paths: LocalPaths, home: string): void {
  const all = readAllocations(paths);
  const own = all.find((allocation) => allocation.nameOnCloud === spec.nameOnCloud);
  const isThere = own?.state === "running" && own.bootId === machine.bootId && own.nodes.length === spec.numNodes;
  if (!isThere) {
    const others = all.filter((allocation) => allocation !== own);
    const nodes = allocateNodes(spec, others, machine, { home, kept: own?.nodes ?? [] });
    writeAllocation(paths, {
      clusterName: spec.clusterName,
      nameOnCloud: spec.nameOnCloud,
      state: "running",
      bootId: machine.bootId,
      perNode: spec.perNode,
      reserved: spec.offer.reserved ?? spec.perNode,
      nodes,
    });
    for (const { index } of nodes) forgetPowerState(agentRoot(spec.nameOnCloud, index, paths));
  }
  for (let index = 0; index < spec.numNodes; index++) {
    const directory = nodeDir(paths, spec.nameOnCloud, index);
    mkdirSync(join(directory, "agent"), { recursive: true, mode: 0o700 });
    mkdirSync(join(directory, "home"), { recursive: true, mode: 0o700 });
  }
}

/** A cluster that is made smaller loses its last nodes. */
async function removeSurplus(spec: ClusterSpec, tools: NodeTools): Promise<void> {
  const surplus = readAllocation(tools.paths, spec.nameOnCloud)?.nodes.slice(spec.numNodes) ?? [];
  await endNodes(spec.nameOnCloud, surplus, tools);
  await removeContainers(spec.nameOnCloud, surplus, tools);
  await removeDirectories(spec.nameOnCloud, surplus, tools.paths);
}

function agentRoot(nameOnCloud: string, index: number, paths: LocalPaths): string {
  return join(nodeDir(paths, nameOnCloud, index), "agent");
}

function queryCluster(cluster: ClusterRef, machine: Machine, paths: LocalPaths): readonly Instance[] {
  const allocation = readAllocation(paths, cluster.nameOnCloud);
  if (allocation === undefined) return [];
  return allocation.nodes.map((node) => {
    const directory = nodeDir(paths, cluster.nameOnCloud, node.index);
    return {
      id: instanceId(cluster, node),
      index: node.index,
      state: stateOf(allocation, node.index, machine, paths),
      internalIp: node.ip,
      externalIp: node.ip,
      sshPort: 22,
      agentRoot: join(directory, "agent"),
      installDir: paths.installDir,
      home: join(directory, "home"),
      resources: allocation.perNode,
      ...(node.gpus.length > 0 ? { deviceIndices: node.gpus } : {}),
    };
  });
}

function stateOf(allocation: Allocation, index: number, machine: Machine, paths: LocalPaths): InstanceState {
  // After a boot of the machine its nodes are off, as a machine's own services would be.
  if (allocation.state === "stopped" || allocation.bootId !== machine.bootId) return "stopped";
  // The head decides about the cluster; its agent ends the workers before itself.
  return (
    readPowerState(agentRoot(allocation.nameOnCloud, 0, paths)) ??
    readPowerState(agentRoot(allocation.nameOnCloud, index, paths)) ??
    "running"
  );
}

interface NodeTools {
  readonly paths: LocalPaths;
  readonly context: CloudContext;
  readonly graceMs: number | undefined;
  /** Environment of the machine's container engine. */
  readonly engineEnv: Readonly<Record<string, string>>;
}

async function endProcesses(cluster: ClusterRef, tools: NodeTools): Promise<void> {
  const allocation = readAllocation(tools.paths, cluster.nameOnCloud);
  await endNodes(cluster.nameOnCloud, allocation?.nodes ?? [], tools);
}

async function endNodes(nameOnCloud: string, nodes: readonly LocalNode[], tools: NodeTools): Promise<void> {
  const { paths, context, graceMs } = tools;
  const options = { signal: context.signal, ...(graceMs === undefined ? {} : { graceMs }) };
  await Promise.all(nodes.map(({ index }) => endNodeProcesses(nodeDir(paths, nameOnCloud, index), options)));
}
