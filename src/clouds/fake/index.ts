import type { NodeResources } from "../../shared/agent/protocol.ts";
import { NoCapacityError } from "../../shared/errors.ts";
import type {
  CheckResult,
  Cloud,
  CloudContext,
  ClusterRef,
  ClusterSpec,
  CredentialSummary,
  Instance,
  InstanceId,
  InstanceState,
  OfferRequest,
  OfferSet,
} from "../../core/ports/cloud.ts";
import type { Runner } from "../../core/ports/runner.ts";

/** What a test can set; all may be changed while the cloud is in use. */
export interface FakeCloudKnobs {
  /** Nodes that may run at the same time, per region. */
  capacity: number;
  /** Regions without room for anything. */
  fullRegions: readonly string[];
  /** Region → price of a node per hour. */
  regions: Record<string, number>;
  /** Queries after which a new instance is seen at all. */
  queriesUntilVisible: number;
  /** Queries after which a visible instance runs. */
  queriesUntilRunning: number;
  /** Errors that the next calls of a method throw, in order, before they do anything. */
  failBefore: Partial<Record<FakeMethod, Error[]>>;
  /** The same, after the call has had its effect: the answer is lost. */
  failAfter: Partial<Record<FakeMethod, Error[]>>;
  identity: readonly string[] | null;
  isEnabled: boolean;
  /** When the credentials end; undefined = they do not. */
  expiresAtMs: number | undefined;
}

export type FakeMethod = "run" | "query" | "stop" | "terminate" | "openPorts";

interface FakeInstance {
  readonly id: string;
  readonly index: number;
  readonly region: string;
  readonly ip: string;
  readonly resources: NodeResources;
  state: InstanceState;
  queries: number;
}

export interface FakeCloudOptions {
  readonly name?: string;
  readonly knobs?: Partial<FakeCloudKnobs>;
  readonly runner: (instance: Instance, cluster: ClusterRef) => Runner;
  /** An instance was switched off: nothing runs on it any more. */
  readonly onOff?: (agentRoot: string) => void;
}

const RESOURCES: NodeResources = { cpus: 4, memoryGib: 16, accelerators: {} };

/** A cloud in memory, with capacity, failures, lost answers and eventual consistency that a test can set. */
export class FakeCloud implements Cloud {
  readonly name: string;
  readonly displayName = "Fake";
  readonly power = "leave";
  readonly maxNameLength = 40;
  readonly knobs: FakeCloudKnobs;
  readonly #options: FakeCloudOptions;
  readonly #clusters = new Map<string, FakeInstance[]>();
  readonly #ports = new Map<string, readonly string[]>();
  /** May be set before the cloud is used. */
  checksOverNetwork = false;
  /** Workspaces that were checked, in order. */
  readonly checked: string[] = [];
  #created = 0;

  constructor(options: FakeCloudOptions) {
    this.#options = options;
    this.name = options.name ?? "fake";
    this.knobs = {
      capacity: 8,
      fullRegions: [],
      regions: { east: 1, west: 2 },
      queriesUntilVisible: 0,
      queriesUntilRunning: 0,
      failBefore: {},
      failAfter: {},
      identity: null,
      isEnabled: true,
      expiresAtMs: undefined,
      ...options.knobs,
    };
  }

  readonly wireInfra = (region: string): string => `${this.name}/${region}`;

  check(context: CloudContext): Promise<CheckResult> {
    this.checked.push(context.workspace);
    if (this.knobs.isEnabled) return Promise.resolve({ enabled: ["compute"], reasons: [], details: [] });
    const reasons = [{ capabilities: ["compute" as const], text: "The fake cloud is off." }];
    return Promise.resolve({ enabled: [], reasons, details: [] });
  }

  identity(): Promise<readonly string[] | null> {
    return Promise.resolve(this.knobs.identity);
  }

  credentials(): Promise<CredentialSummary | null> {
    return Promise.resolve(this.knownCredentials());
  }

  knownCredentials(): CredentialSummary {
    const { expiresAtMs } = this.knobs;
    return { kind: "sso", source: "fake", profile: "dev", ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
  }

  offers(request: OfferRequest): Promise<OfferSet> {
    const reasons: string[] = [];
    if ((request.cpus?.count ?? 0) > RESOURCES.cpus) reasons.push(`${request.cpus?.count} CPUs asked, nodes have 4`);
    if (Object.keys(request.accelerators).length > 0) reasons.push("no accelerators");
    const regions = Object.entries(this.knobs.regions).filter(([region]) => (request.region ?? region) === region);
    if (regions.length === 0) reasons.push(`no region '${request.region}'`);
    const rejected = reasons.map((reason) => ({ what: "fake.large", reason }));
    if (rejected.length > 0) return Promise.resolve({ offers: [], rejected, suggestions: [] });
    const offers = regions.map(([region, priceUsdPerHour]) => ({
      cloud: this.name,
      region,
      zone: null,
      instanceType: "fake.large",
      resources: RESOURCES,
      useSpot: request.useSpot,
      priceUsdPerHour,
    }));
    return Promise.resolve({ offers, rejected: [], suggestions: [] });
  }

  run(spec: ClusterSpec, _token: string, context: CloudContext): Promise<void> {
    return this.#call("run", context, () => this.#run(spec));
  }

  query(cluster: ClusterRef, context: CloudContext): Promise<readonly Instance[]> {
    return this.#call("query", context, () => {
      const seen = (this.#clusters.get(cluster.nameOnCloud) ?? []).filter((one) => {
        one.queries++;
        return one.queries > this.knobs.queriesUntilVisible && one.state !== "terminated";
      });
      return seen.map((one) => toInstance(one, cluster, this.knobs));
    });
  }

  stop(cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]): Promise<void> {
    return this.#call("stop", context, () => this.#switchOff(cluster, only));
  }

  terminate(cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]): Promise<void> {
    return this.#call("terminate", context, () => {
      this.#switchOff(cluster, only);
      const left = (this.#clusters.get(cluster.nameOnCloud) ?? []).filter((one) => !isIn(only, one));
      if (left.length > 0) this.#clusters.set(cluster.nameOnCloud, left);
      else this.#clusters.delete(cluster.nameOnCloud);
    });
  }

  openPorts(cluster: ClusterRef, opened: readonly string[], context: CloudContext): Promise<void> {
    return this.#call("openPorts", context, () => {
      this.#ports.set(cluster.nameOnCloud, [...this.openedPorts(cluster.nameOnCloud), ...opened]);
    });
  }

  runner(instance: Instance, cluster: ClusterRef): Promise<Runner> {
    return Promise.resolve(this.#options.runner(instance, cluster));
  }

  /** Every instance that exists, by the name on the cloud; what a bill would show. */
  ledger(): Readonly<Record<string, readonly { readonly id: string; readonly state: InstanceState }[]>> {
    return Object.fromEntries(
      [...this.#clusters].map(([key, list]) => [key, list.map(({ id, state }) => ({ id, state }))]),
    );
  }

  /** How many instances were created since the beginning. */
  get created(): number {
    return this.#created;
  }

  openedPorts(nameOnCloud: string): readonly string[] {
    return this.#ports.get(nameOnCloud) ?? [];
  }

  /** Changes an instance behind everybody's back, as a console or a spot reclaim does. */
  setState(nameOnCloud: string, index: number, state: InstanceState): void {
    const instance = this.#clusters.get(nameOnCloud)?.find((one) => one.index === index);
    if (instance !== undefined) instance.state = state;
  }

  async #call<T>(method: FakeMethod, context: CloudContext, act: () => T): Promise<T> {
    context.signal.throwIfAborted();
    await Promise.resolve();
    const before = this.knobs.failBefore[method]?.shift();
    if (before !== undefined) throw before;
    const result = act();
    const after = this.knobs.failAfter[method]?.shift();
    if (after !== undefined) throw after;
    return result;
  }

  #run(spec: ClusterSpec): void {
    const { region } = spec.offer;
    const kept = (this.#clusters.get(spec.nameOnCloud) ?? []).filter((one) => one.state !== "terminated");
    const others = [...this.#clusters].flatMap(([key, list]) => (key === spec.nameOnCloud ? [] : list));
    const running = others.filter((one) => one.region === region && one.state === "running").length;
    if (running + spec.numNodes > this.knobs.capacity || this.knobs.fullRegions.includes(region)) {
      throw new NoCapacityError(`No capacity for ${spec.numNodes} nodes in ${region}.`);
    }
    for (const one of kept.splice(spec.numNodes)) {
      this.#options.onOff?.(`/fake/${spec.nameOnCloud}/${one.index}`);
    }
    for (const one of kept) if (one.state === "stopped") one.state = "running";
    for (let index = 0; index < spec.numNodes; index++) {
      if (!kept.some((one) => one.index === index)) kept.push(this.#create(spec, index));
    }
    this.#clusters.set(spec.nameOnCloud, kept);
  }

  #create(spec: ClusterSpec, index: number): FakeInstance {
    this.#created++;
    const ip = `10.0.${this.#created >> 8}.${this.#created & 255}`;
    const { region } = spec.offer;
    return { id: `i-${this.#created}`, index, region, ip, resources: spec.perNode, state: "running", queries: 0 };
  }

  #switchOff(cluster: ClusterRef, only?: readonly InstanceId[]): void {
    for (const one of this.#clusters.get(cluster.nameOnCloud) ?? []) {
      if (!isIn(only, one)) continue;
      one.state = "stopped";
      this.#options.onOff?.(agentRootOf(cluster, one.index));
    }
  }
}

function isIn(only: readonly InstanceId[] | undefined, one: FakeInstance): boolean {
  return only === undefined || only.includes(one.id);
}

function agentRootOf(cluster: ClusterRef, index: number): string {
  return `/fake/${cluster.nameOnCloud}/${index}`;
}

function toInstance(one: FakeInstance, cluster: ClusterRef, knobs: FakeCloudKnobs): Instance {
  const isReady = one.queries > knobs.queriesUntilVisible + knobs.queriesUntilRunning;
  return {
    id: one.id,
    index: one.index,
    state: one.state === "running" && !isReady ? "pending" : one.state,
    internalIp: one.ip,
    externalIp: null,
    sshPort: 22,
    agentRoot: agentRootOf(cluster, one.index),
    installDir: "/fake/agent",
    home: "/home/fake",
    resources: one.resources,
  };
}
