import { createFakeAdapter } from "../../src/clouds/fake/adapter.ts";
import type { NodeHosts } from "../../src/clouds/fake/hosts.ts";
import { DEFAULT_SETTINGS, type FakeSettings } from "../../src/clouds/fake/settings.ts";
import { MemoryStore, type FakeNode } from "../../src/clouds/fake/state.ts";
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
  SavedDisks,
} from "../../src/core/ports/cloud.ts";
import type { Runner } from "../../src/core/ports/runner.ts";
import type { Clock } from "../../src/shared/clock.ts";
import type { AgentFleet } from "./agent-fleet.ts";

/** What a test can set; all may be changed while the cloud is in use. */
export interface FakeCloudKnobs {
  /** Nodes that may run at the same time, per region. */
  capacity: number;
  /** Regions without room for anything. */
  fullRegions: readonly string[];
  /** Region → price of a node per hour. */
  regions: Record<string, number>;
  /** The provider's rules, where they differ from the above. */
  settings: Partial<FakeSettings>;
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

export interface FakeCloudOptions {
  readonly name?: string;
  readonly knobs?: Partial<FakeCloudKnobs>;
  readonly fleet: AgentFleet;
  readonly clock: Clock;
}

const TYPE = { cpus: 4, memory_gib: 16, usd_per_hour: 1, spot_usd_per_hour: 1, family: "standard" };

/** The fake cloud of the product with nodes and state in memory, and with failures that a test can set. */
export class FakeCloud implements Cloud {
  readonly name: string;
  readonly displayName = "Fake";
  readonly power = "leave";
  readonly maxNameLength = 40;
  readonly knobs: FakeCloudKnobs;
  readonly store = new MemoryStore();
  readonly #cloud: Cloud;
  readonly #ports = new Map<string, readonly string[]>();
  readonly #fleet: AgentFleet;
  /** Copies of disks that exist, and whether they are complete: the second look finds them so. */
  readonly disks = new Map<string, boolean>();
  readonly savedDisks: SavedDisks = {
    save: (_source, { name }) => {
      const isMade = this.disks.has(name);
      this.disks.set(name, isMade);
      return Promise.resolve(isMade ? { imageId: `disk ${name}` } : undefined);
    },
    drop: (_source, { name }) => Promise.resolve(void this.disks.delete(name)),
  };
  /** May be set before the cloud is used. */
  checksOverNetwork = false;
  /** Workspaces that were checked, in order. */
  readonly checked: string[] = [];
  /** Calls of each method. */
  readonly calls: Record<FakeMethod, number> = { run: 0, query: 0, stop: 0, terminate: 0, openPorts: 0 };
  /** Called at each call, before and after the provider acts; may throw, as a process that dies there does. */
  onCall: ((method: FakeMethod, when: "before" | "after") => void) | undefined;

  constructor(options: FakeCloudOptions) {
    this.name = options.name ?? "fake";
    this.#fleet = options.fleet;
    this.knobs = {
      capacity: 8,
      fullRegions: [],
      regions: { east: 1, west: 2 },
      settings: {},
      failBefore: {},
      failAfter: {},
      identity: null,
      isEnabled: true,
      expiresAtMs: undefined,
      ...options.knobs,
    };
    this.#cloud = createFakeAdapter({
      name: this.name,
      displayName: this.displayName,
      store: this.store,
      hosts: hostsOf(options.fleet),
      clock: options.clock,
      settings: () => this.#settings(),
      maxNameLength: this.maxNameLength,
    });
  }

  readonly wireInfra = (region: string): string => `${this.name}/${region}`;

  get consistencyMs(): number {
    return this.#cloud.consistencyMs ?? 0;
  }

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

  offers(request: OfferRequest, context: CloudContext): Promise<OfferSet> {
    return this.#cloud.offers(request, context);
  }

  run(spec: ClusterSpec, token: string, context: CloudContext): Promise<void> {
    return this.#call("run", () => this.#cloud.run(spec, token, context));
  }

  query(cluster: ClusterRef, context: CloudContext): Promise<readonly Instance[]> {
    return this.#call("query", () => this.#cloud.query(cluster, context));
  }

  queryMany(clusters: readonly ClusterRef[], context: CloudContext): Promise<readonly (readonly Instance[])[]> {
    return this.#call("query", async () => (await this.#cloud.queryMany?.(clusters, context)) ?? []);
  }

  stop(cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]): Promise<void> {
    return this.#call("stop", async () => this.#cloud.stop?.(cluster, context, only));
  }

  terminate(cluster: ClusterRef, context: CloudContext, only?: readonly InstanceId[]): Promise<void> {
    return this.#call("terminate", () => this.#cloud.terminate(cluster, context, only));
  }

  openPorts(cluster: ClusterRef, opened: readonly string[]): Promise<void> {
    return this.#call("openPorts", () => {
      this.#ports.set(cluster.nameOnCloud, [...this.openedPorts(cluster.nameOnCloud), ...opened]);
      return Promise.resolve();
    });
  }

  runner(instance: Instance): Promise<Runner> {
    return Promise.resolve(this.#fleet.runner(instance));
  }

  /** Every instance that exists, by the name on the cloud; what a bill would show. */
  ledger(): Readonly<Record<string, readonly { readonly id: string; readonly state: InstanceState }[]>> {
    const all: Record<string, { readonly id: string; readonly state: InstanceState }[]> = {};
    for (const { nameOnCloud, id, state } of this.store.read().nodes) (all[nameOnCloud] ??= []).push({ id, state });
    return all;
  }

  /** How many instances were created since the beginning. */
  get created(): number {
    return this.store.read().created;
  }

  openedPorts(nameOnCloud: string): readonly string[] {
    return this.#ports.get(nameOnCloud) ?? [];
  }

  /** Changes an instance behind everybody's back, as a console or a spot reclaim does. */
  setState(nameOnCloud: string, index: number, state: FakeNode["state"]): void {
    void this.store.change((before) => ({
      state: {
        ...before,
        nodes: before.nodes.map((node) =>
          node.nameOnCloud === nameOnCloud && node.index === index
            ? { ...node, state, isTaken: state === "terminated" }
            : node,
        ),
      },
      ledger: [],
      result: undefined,
    }));
  }

  #settings(): FakeSettings {
    const { capacity, fullRegions, regions, settings } = this.knobs;
    const names = Object.keys(regions);
    const room = names.map((region): [string, number] => [region, fullRegions.includes(region) ? 0 : capacity]);
    return {
      ...DEFAULT_SETTINGS,
      regions: Object.fromEntries(names.map((region) => [region, []])),
      price_factors: regions,
      types: { "fake.large": TYPE },
      disk_usd_per_gib_month: 0,
      ipv4_usd_per_hour: 0,
      capacity: Object.fromEntries(room),
      ...settings,
    };
  }

  async #call<T>(method: FakeMethod, act: () => Promise<T>): Promise<T> {
    this.calls[method]++;
    this.onCall?.(method, "before");
    const before = this.knobs.failBefore[method]?.shift();
    if (before !== undefined) throw before;
    const result = await act();
    this.onCall?.(method, "after");
    const after = this.knobs.failAfter[method]?.shift();
    if (after !== undefined) throw after;
    return result;
  }
}

function rootOf(node: FakeNode): string {
  return `/fake/${node.nameOnCloud}/${node.index}`;
}

function hostsOf(fleet: AgentFleet): NodeHosts {
  return {
    placesOf: (node) => ({ agentRoot: rootOf(node), installDir: "/fake/agent", home: "/home/fake" }),
    start: () => undefined,
    stop: (node) => Promise.resolve(fleet.kill(rootOf(node))),
    remove: (node) => Promise.resolve(fleet.kill(rootOf(node))),
    powerOf: () => undefined,
    runner: (node) => {
      throw new Error(`The runner of ${node.id} is the fleet's.`);
    },
  };
}
