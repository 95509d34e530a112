import { hostName } from "../../platform/paths.ts";
import type { HostClaim } from "../../shared/agent/host.ts";
import { AgentError, AgentNotRunningError, NoCapacityError, OperationFailedError } from "../../shared/errors.ts";
import type {
  CloudContext,
  ClusterRef,
  ClusterSpec,
  Instance,
  InstanceId,
  InstanceState,
} from "../../core/ports/cloud.ts";
import type { Runner } from "../../core/ports/runner.ts";
import { createSshRunner } from "../../runners/ssh/runner.ts";
import { allocate, type HostAccess } from "./allocate.ts";
import type { KnownHost } from "./facts-store.ts";
import type { HostPlace } from "./hosts.ts";
import type { SshParts } from "./index.ts";
import { misfitOfSpec } from "./offers.ts";
import { findPool, type Pool, type PoolHost } from "./pools.ts";
import type { ClusterRecord, NodeRecord } from "./records.ts";

/** How long what the hosts have said of a cluster's nodes need not be asked again, in milliseconds. */
const FRESH_MS = 5000;

/** The nodes of clusters on the machines of pools. */
export class Nodes {
  readonly #parts: SshParts;
  /** When all hosts of a cluster have given their nodes (`performance.now()`), until the first query after that. */
  readonly #givenAt = new Map<string, number>();
  /** Nodes in which no agent has been started yet, as `nodeKey` names them: nobody needs to ask whether one runs there. */
  readonly #untouched = new Set<string>();
  /** Open connections to the heads of clusters: while there is one, the cluster has not gone away by itself. */
  readonly #connected = new Map<string, number>();

  constructor(parts: SshParts) {
    this.#parts = parts;
  }

  /** Gets hosts for the cluster; a cluster that has them keeps them. */
  async run(spec: ClusterSpec, context: CloudContext): Promise<void> {
    const parts = this.#parts;
    const before = parts.records.read(spec.nameOnCloud);
    const pool = findPool(parts.pools(), spec.offer.region, parts.home);
    const fitting = parts.facts.read(pool).filter(({ facts }) => misfitOfSpec(spec, facts) === undefined);
    const kept = (before?.nodes ?? []).map(({ known }): KnownHost => ({ ...known, entry: "" }));
    await this.#releaseNodes(spec.nameOnCloud, before, {
      isMeant: (node) => node.index >= spec.numNodes,
      signal: context.signal,
    });
    const access = this.#access(spec, { pool, before }, context);
    const given = await allocate(spec, { pool: fitting, kept }, access, {
      signal: context.signal,
      random: Math.random,
    });
    const nodes = given.map(({ host, claim }, index) => ({ index, known: withoutEntry(host), given: givenOf(claim) }));
    parts.records.write(spec.nameOnCloud, { pool: spec.offer.region, perNode: spec.perNode, nodes });
    this.#givenAt.set(spec.nameOnCloud, performance.now());
    for (const { host, isNew } of given) if (isNew) this.#untouched.add(nodeKey(spec, host));
  }

  async query(cluster: ClusterRef, context: CloudContext): Promise<readonly Instance[]> {
    const record = this.#parts.records.read(cluster.nameOnCloud);
    if (record === undefined) return [];
    const isConnected = (this.#connected.get(cluster.nameOnCloud) ?? 0) > 0;
    const states =
      this.#takeFreshness(cluster.nameOnCloud) || isConnected
        ? record.nodes.map((): InstanceState => "running")
        : await this.#statesOf(record, cluster, context);
    // The head decides about the cluster; its agent ends the workers before itself.
    const head = states[0] === "terminated" ? "terminated" : undefined;
    return record.nodes.flatMap((node, index) => {
      const state = head ?? states[index];
      return node.given === undefined || state === undefined ? [] : [toInstance(node, record, state)];
    });
  }

  /** `only`: hosts, which are the ids of instances. */
  async terminate(cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]): Promise<void> {
    const { records } = this.#parts;
    const { nameOnCloud } = cluster;
    this.#givenAt.delete(nameOnCloud);
    const record = records.read(nameOnCloud);
    if (record === undefined) return;
    for (const { known } of record.nodes) this.#untouched.delete(nodeKey(cluster, known));
    const isMeant = (node: NodeRecord): boolean => only?.includes(node.known.host) ?? true;
    await this.#releaseNodes(nameOnCloud, record, { isMeant, signal: context.signal });
    const left = record.nodes.filter((node) => !isMeant(node));
    if (left.length > 0) {
      records.write(nameOnCloud, { ...record, nodes: left });
      return;
    }
    records.remove(nameOnCloud);
    this.#connected.delete(nameOnCloud);
  }

  async runner(instance: Instance, cluster: ClusterRef): Promise<Runner> {
    const parts = this.#parts;
    const record = this.#require(cluster);
    const node = record.nodes.find((one) => one.index === instance.index);
    if (node === undefined) throw new AgentError(`${cluster.clusterName} has no node ${instance.index}.`);
    const place = this.#placesOf(record)(node);
    const target = await parts.hosts.target(place.poolName, place.host);
    const bySsh = createSshRunner({ ...parts.tools, target });
    const key = nodeKey(cluster, node.known);
    const runner: Runner = {
      ...bySsh,
      // By the program that has been asked for the node a moment ago, if it was.
      startAgent: async ({ root, config }, { signal = new AbortController().signal } = {}) => {
        this.#untouched.delete(key);
        const params = { root, config: Buffer.from(config).toString() };
        await parts.hosts.ask(place, "start", { params, signal });
      },
      connectAgent: async (root, options) => {
        if (!this.#untouched.has(key)) return bySsh.connectAgent(root, options);
        throw new AgentNotRunningError(`No agent was started in ${root} on ${target.host} yet.`);
      },
    };
    return instance.index === 0 ? this.#counted(runner, cluster.nameOnCloud) : runner;
  }

  proxyCommands(cluster: ClusterRef): readonly (string | null)[] {
    const nodes = this.#parts.records.read(cluster.nameOnCloud)?.nodes ?? [];
    return nodes.map(({ known }) => known.address.proxyCommand);
  }

  /** Whether the hosts gave the nodes a moment ago: the query that follows a `run` needs no second look at each of them. */
  #takeFreshness(nameOnCloud: string): boolean {
    const givenAt = this.#givenAt.get(nameOnCloud) ?? Number.NEGATIVE_INFINITY;
    this.#givenAt.delete(nameOnCloud);
    return performance.now() - givenAt < FRESH_MS;
  }

  #require(cluster: ClusterRef): ClusterRecord {
    const record = this.#parts.records.read(cluster.nameOnCloud);
    if (record !== undefined) return record;
    throw new AgentError(`It is not known on which hosts ${cluster.clusterName} runs.`);
  }

  #access(
    spec: ClusterSpec,
    { pool, before }: { readonly pool: Pool; readonly before: ClusterRecord | undefined },
    context: CloudContext,
  ): HostAccess {
    const { hosts, records } = this.#parts;
    const { nameOnCloud, clusterName, perNode, offer } = spec;
    const reserved = offer.reserved ?? perNode;
    const at = (host: KnownHost) => ({ poolName: pool.name, host: entryOf(host, pool), base: host.base });
    const { signal } = context;
    return {
      look: (host) => hosts.ask(at(host), "look", { params: {}, signal }),
      claim: (host, index) => {
        const owner = `${spec.node.userName}@${hostName()}`;
        const claim = { nameOnCloud, clusterName, perNode, reserved, owner, authorizedKeys: spec.node.publicKeys() };
        return hosts.ask(at(host), "claim", { params: { ...claim, index }, signal });
      },
      release: async (host) => {
        await hosts.ask(at(host), "release", { params: { nameOnCloud }, signal });
      },
      note: (holders) => {
        // What nodes gave before is theirs still: a cluster that could not grow goes on as it was.
        const nodes = holders.map((host, index): NodeRecord => {
          const had = before?.nodes.find((one) => one.known.host === host.host)?.given;
          return { index, known: withoutEntry(host), ...(had === undefined ? {} : { given: had }) };
        });
        if (nodes.length === 0) records.remove(nameOnCloud);
        else records.write(nameOnCloud, { pool: pool.name, perNode, nodes });
      },
    };
  }

  /** Where to ask about each of the nodes. */
  #placesOf(record: ClusterRecord): (node: NodeRecord) => HostPlace {
    const pool = this.#parts.pools().find((one) => one.name === record.pool);
    return ({ known }) => ({ poolName: record.pool, host: entryOf(known, pool), base: known.base });
  }

  #statesOf(
    record: ClusterRecord,
    { nameOnCloud }: ClusterRef,
    { signal }: CloudContext,
  ): Promise<readonly (InstanceState | undefined)[]> {
    const placeOf = this.#placesOf(record);
    return Promise.all(
      record.nodes.map(async (node) => {
        if (node.given === undefined) return undefined;
        const { claims } = await this.#parts.hosts.ask(placeOf(node), "look", { params: {}, signal });
        const claim = claims.find((one) => one.nameOnCloud === nameOnCloud);
        if (claim === undefined) return undefined;
        return claim.ended === undefined ? "running" : "terminated";
      }),
    );
  }

  /** Gives nodes back. A host that cannot be reached keeps its node, so this is an error. */
  async #releaseNodes(
    nameOnCloud: string,
    record: ClusterRecord | undefined,
    { isMeant, signal }: { readonly isMeant: (node: NodeRecord) => boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const surplus = record?.nodes.filter(isMeant) ?? [];
    if (record === undefined || surplus.length === 0) return;
    const placeOf = this.#placesOf(record);
    const outcomes = await Promise.allSettled(
      surplus.map((node) => this.#parts.hosts.ask(placeOf(node), "release", { params: { nameOnCloud }, signal })),
    );
    signal.throwIfAborted();
    const failures = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
    const unexpected = failures.find((error) => !(error instanceof AgentError));
    if (unexpected !== undefined) throw unexpected;
    if (failures.length === 0) return;
    const lines = failures.map((error) => error.message);
    throw new OperationFailedError(
      `${failures.length} of ${surplus.length} nodes could not be removed:\n${lines.join("\n")}`,
      {
        cause: failures[0],
        hint: "Repeat the command when they can be reached, or forget the cluster with `sky down --purge`; `sky ssh up` shows what is left on a host.",
      },
    );
  }

  #counted(runner: Runner, nameOnCloud: string): Runner {
    const add = (change: number): void => {
      this.#connected.set(nameOnCloud, Math.max(0, (this.#connected.get(nameOnCloud) ?? 0) + change));
    };
    return {
      ...runner,
      connectAgent: async (root, options) => {
        const stream = await runner.connectAgent(root, options);
        add(1);
        stream.once("close", () => add(-1));
        return stream;
      },
    };
  }
}

function nodeKey({ nameOnCloud }: Pick<ClusterRef, "nameOnCloud">, { host }: { readonly host: string }): string {
  return `${nameOnCloud} ${host}`;
}

/** The user's entry for a host; one that is gone from the file is reached as the SSH configuration says. */
function entryOf({ host }: { readonly host: string }, pool: Pool | undefined): PoolHost {
  return pool?.hosts.find((one) => one.host === host) ?? { host, hasDefaults: true };
}

function withoutEntry({ host, base, facts, address }: KnownHost): NodeRecord["known"] {
  return { host, base, facts, address };
}

function givenOf({ home, agentRoot, gpus }: HostClaim): NonNullable<NodeRecord["given"]> {
  return { home, agentRoot, gpus };
}

function toInstance(node: NodeRecord, record: ClusterRecord, state: InstanceState): Instance {
  const { known, given } = node;
  if (given === undefined) throw new NoCapacityError(`${known.host} gave nothing.`);
  const { address, facts, base } = known;
  return {
    id: known.host,
    index: node.index,
    state,
    internalIp: internalAddress(known),
    externalIp: address.hostName,
    sshPort: address.port,
    sshUser: address.user,
    ...sshInside(known),
    agentRoot: given.agentRoot,
    installDir: `${base}/agent`,
    home: given.home,
    resources: record.perNode,
    ...(facts.gpus.length > 0 ? { deviceIndices: given.gpus } : {}),
  };
}

/** Behind a NAT or a forwarded port the machines of a cluster reach each other elsewhere than the pool's file says. */
function sshInside(known: NodeRecord["known"]): Pick<Instance, "sshInside"> {
  const { address, facts } = known;
  const inside = { address: internalAddress(known), port: facts.sshPort ?? address.port };
  return inside.address === address.hostName && inside.port === address.port ? {} : { sshInside: inside };
}

/** The address by which SSH reaches a host when the host has it itself; behind a NAT or a proxy, the one of its default route. */
function internalAddress({ address, facts }: NodeRecord["known"]): string {
  if (facts.addresses.includes(address.hostName)) return address.hostName;
  return facts.addresses[0] ?? address.hostName;
}
