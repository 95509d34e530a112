import type {
  CheckResult,
  Cloud,
  CloudContext,
  ClusterRef,
  ClusterSpec,
  Instance,
  InstanceId,
} from "../../core/ports/cloud.ts";
import type { Clock } from "../../shared/clock.ts";
import { OperationFailedError, SkyError } from "../../shared/errors.ts";
import { FakeApiError, toSkyError } from "./errors.ts";
import type { NodeHosts } from "./hosts.ts";
import { offersOf } from "./offers.ts";
import {
  admit,
  isOverdueSpot,
  isVisible,
  runNodes,
  stopNodes,
  takeNodes,
  terminateNodes,
  type Now,
} from "./provider.ts";
import type { FakeSettings } from "./settings.ts";
import type { Change, FakeNode, FakeState, StateStore } from "./state.ts";

export interface FakeAdapterOptions {
  readonly name: string;
  readonly displayName: string;
  readonly store: StateStore;
  readonly hosts: NodeHosts;
  readonly clock: Clock;
  /** Read for every call; throws when they are wrong. */
  readonly settings: () => FakeSettings;
  readonly maxNameLength: number;
  readonly unnamedUse?: NonNullable<Cloud["unnamedUse"]>;
}

type Method = "run" | "query" | "stop" | "terminate";

/** A cloud whose provider is a set of rules (`provider.ts`) and whose machines are `hosts`. */
export function createFakeAdapter(options: FakeAdapterOptions): Cloud {
  const provider = new Provider(options);
  const { name, hosts } = options;
  return {
    name,
    displayName: options.displayName,
    wireInfra: (region, zone) => [name, region, zone ?? ""].filter((part) => part !== "").join("/"),
    power: "leave",
    maxNameLength: options.maxNameLength,
    ...(options.unnamedUse === undefined ? {} : { unnamedUse: options.unnamedUse }),
    get consistencyMs() {
      return options.settings().visible_after * 1000;
    },
    check: () => Promise.resolve(check(options)),
    identity: () => Promise.resolve(null),
    offers: (request) => Promise.resolve(offersOf(request, options.settings(), name)),
    run: (spec, token, context) => provider.run({ spec, token }, context),
    query: async (cluster, context) => (await provider.queryMany([cluster], context))[0] ?? [],
    queryMany: (clusters, context) => provider.queryMany(clusters, context),
    stop: (cluster, context, only) => provider.end("stop", { cluster, only }, context),
    terminate: (cluster, context, only) => provider.end("terminate", { cluster, only }, context),
    runner: (instance) => {
      const node = options.store.read().nodes.find((one) => one.id === instance.id);
      if (node === undefined) throw new OperationFailedError(`The fake cloud has no node ${instance.id}.`);
      return Promise.resolve(hosts.runner(node));
    },
  };
}

/** Wrong settings turn this cloud off, not the others. */
function check(options: FakeAdapterOptions): CheckResult {
  try {
    return { enabled: ["compute"], reasons: [], details: [describe(options.settings())] };
  } catch (error) {
    if (!(error instanceof SkyError)) throw error;
    return { enabled: [], reasons: [{ capabilities: ["compute"], text: error.message }], details: [] };
  }
}

function describe({ regions, types }: FakeSettings): string {
  return `Simulated: ${Object.keys(regions).length} regions, ${Object.keys(types).length} types; nodes run on this machine`;
}

class Provider {
  readonly #options: FakeAdapterOptions;

  constructor(options: FakeAdapterOptions) {
    this.#options = options;
  }

  async run(call: { readonly spec: ClusterSpec; readonly token: string }, context: CloudContext): Promise<void> {
    const refused = await this.#call("run", context, (state, now) => {
      const change = runNodes(state, call, now);
      // A disk exists before its node does.
      for (const node of change.state.nodes) {
        const before = state.nodes.find((one) => one.id === node.id);
        if (node.state === "running" && before?.state !== "running") this.#options.hosts.start(node);
      }
      return change;
    });
    if (refused !== undefined) throw toSkyError(refused);
  }

  async queryMany(clusters: readonly ClusterRef[], context: CloudContext): Promise<readonly (readonly Instance[])[]> {
    const seen = await this.#call("query", context, (state) => ({ state, ledger: [], result: state.nodes }));
    const now = this.#now();
    const visible = seen.filter((node) => isVisible(node, now));
    return clusters.map((cluster) =>
      visible
        .filter((node) => node.nameOnCloud === cluster.nameOnCloud && node.region === cluster.region)
        .map((node) => this.#toInstance(node, now))
        .sort((a, b) => a.index - b.index || a.id.localeCompare(b.id)),
    );
  }

  async end(
    kind: "stop" | "terminate",
    which: { readonly cluster: ClusterRef; readonly only: readonly InstanceId[] | undefined },
    context: CloudContext,
  ): Promise<void> {
    const { cluster, only } = which;
    const isMeant = (node: FakeNode): boolean =>
      node.nameOnCloud === cluster.nameOnCloud &&
      node.region === cluster.region &&
      // What is not listed yet cannot be found by its tag.
      (only?.includes(node.id) ?? isVisible(node, this.#now()));
    const meant = this.#options.store.read().nodes.filter(isMeant);
    const { hosts } = this.#options;
    context.signal.throwIfAborted();
    await Promise.all(meant.map((node) => hosts[kind === "stop" ? "stop" : "remove"](node, context.signal)));
    await this.#call(kind, context, (state, now) =>
      kind === "stop" ? stopNodes(state, isMeant, now) : terminateNodes(state, isMeant, now),
    );
  }

  #now(): Now {
    return { settings: this.#options.settings(), nowMs: this.#options.clock.now() };
  }

  /** One call of the provider's API: admitted, obeyed, and now and then not answered. */
  async #call<T>(method: Method, context: CloudContext, act: (state: FakeState, now: Now) => Change<T>): Promise<T> {
    context.signal.throwIfAborted();
    const now = this.#now();
    const { store, hosts } = this.#options;
    try {
      await store.change((state) => admit(state, method, now), context.signal);
      const { result, isLost, taken } = await store.change((state) => {
        const tick = this.#tick(state, now);
        const change = act(tick.state, now);
        const isChange = change.ledger.length > 0;
        const changes = state.changes + (isChange ? 1 : 0);
        const every = now.settings.lose_every;
        return {
          state: { ...change.state, changes },
          ledger: [...tick.ledger, ...change.ledger],
          result: { result: change.result, taken: tick.result, isLost: isChange && every > 0 && changes % every === 0 },
        };
      }, context.signal);
      await Promise.all(taken.map((node) => hosts.remove(node, context.signal)));
      if (isLost) throw new FakeApiError("AnswerLost", `No answer came to ${method}.`);
      return result;
    } catch (error) {
      throw error instanceof FakeApiError ? toSkyError(error) : error;
    }
  }

  /** Nodes that switched themselves off, and spot nodes whose time is over. */
  #tick(state: FakeState, now: Now): Change<readonly FakeNode[]> {
    const { hosts } = this.#options;
    const powers = new Map<FakeNode, "stopped" | "terminated">();
    for (const node of state.nodes) {
      const head = state.nodes.find((one) => one.nameOnCloud === node.nameOnCloud && one.index === 0) ?? node;
      const power = node.state === "running" ? hosts.powerOf(node, head) : undefined;
      if (power !== undefined) powers.set(node, power);
    }
    const off = stopNodes(state, (node) => powers.get(node) === "stopped", now);
    const down = takeNodes(off.state, (node) => powers.get(node) === "terminated", now);
    const spot = takeNodes(down.state, (node) => isOverdueSpot(node, now), now);
    const ledger = [...off.ledger, ...down.ledger, ...spot.ledger];
    return { state: spot.state, ledger, result: [...down.result, ...spot.result] };
  }

  #toInstance(node: FakeNode, { settings, nowMs }: Now): Instance {
    const isReady = nowMs >= node.startedAtMs + settings.running_after * 1000;
    return {
      id: node.id,
      index: node.index,
      state: node.state === "running" && !isReady ? "pending" : node.state,
      internalIp: node.ip,
      externalIp: node.ip,
      sshPort: 22,
      ...this.#options.hosts.placesOf(node),
      resources: node.resources,
    };
  }
}
