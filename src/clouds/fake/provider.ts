import type { ClusterSpec, InstanceId } from "../../core/ports/cloud.ts";
import { FakeApiError } from "./errors.ts";
import type { FakeSettings } from "./settings.ts";
import type { Change, FakeNode, FakeState, LedgerEntry } from "./state.ts";

/** The provider behind the adapter: pure rules of what a call does to the state. Throws FakeApiError. */

export interface Now {
  readonly settings: FakeSettings;
  readonly nowMs: number;
}

/** Nodes that somebody pays for. */
function isOn(node: FakeNode): boolean {
  return node.state === "running";
}

function entry(node: FakeNode, what: LedgerEntry["what"], nowMs: number): LedgerEntry {
  const { id, nameOnCloud, index, zone } = node;
  return { at: nowMs, what, id, nameOnCloud, index, zone };
}

/** Refuses calls that come too fast or are not allowed; every call passes here first. */
export function admit(state: FakeState, action: string, { settings, nowMs }: Now): Change<undefined> {
  if (settings.denied.includes(action)) {
    throw new FakeApiError("Unauthorized", `You are not allowed to do fake:${action}.`);
  }
  const limit = settings.calls_per_second;
  if (limit === 0) return { state, ledger: [], result: undefined };
  const recent = state.recentCalls.filter((at) => at > nowMs - 1000);
  if (recent.length >= limit) throw new FakeApiError("RequestLimitExceeded", `More than ${limit} calls a second.`);
  return { state: { ...state, recentCalls: [...recent, nowMs] }, ledger: [], result: undefined };
}

export interface RunCall {
  readonly spec: ClusterSpec;
  readonly token: string;
}

/** A refusal that comes although something was done. */
export type Refused = FakeApiError | undefined;

/** Creates and starts what the spec says, in one zone. */
export function runNodes(state: FakeState, call: RunCall, now: Now): Change<Refused> {
  const { spec, token } = call;
  const { region } = spec.offer;
  if (now.settings.broken_networks.includes(region)) {
    throw new FakeApiError("NetworkNotFound", `There is no network in ${region}.`);
  }
  const started = startNodes(state, spec.start, now);
  if (spec.create.length === 0) return started;
  const zone = zoneOf(spec, now.settings);
  const key = `${zone}/${token}`;
  const parameters = JSON.stringify([spec.nameOnCloud, spec.offer.instanceType, spec.offer.useSpot, spec.create]);
  const known = state.tokens[key];
  if (known !== undefined) {
    if (known.parameters !== parameters) {
      throw new FakeApiError("IdempotentParameterMismatch", `Token ${token} came with other parameters before.`);
    }
    return { ...started, result: refusalOf(spec, known.ids.length) };
  }
  return createNodes(started, { spec, zone, key, parameters }, now);
}

/** A client token holds in one zone, so that without a zone in the call the choice must not depend on what is free. */
function zoneOf({ offer }: ClusterSpec, settings: FakeSettings): string {
  return offer.zone ?? settings.regions[offer.region]?.[0] ?? offer.region;
}

function freeIn(
  zone: string,
  type: string,
  at: { readonly state: FakeState; readonly settings: FakeSettings },
): number {
  const { capacity, default_capacity } = at.settings;
  const here = at.state.nodes.filter((node) => isOn(node) && node.zone === zone);
  const ofType = capacity[`${zone}/${type}`];
  if (ofType !== undefined) return ofType - here.filter((node) => node.type === type).length;
  return (capacity[zone] ?? default_capacity) - here.length;
}

/** The answer to a call of which `made` nodes came into being; undefined when that is all of them. */
function refusalOf({ create, offer }: ClusterSpec, made: number): Refused {
  if (made === create.length) return undefined;
  const text = `There was room for ${made} ${offer.instanceType}, ${create.length} asked.`;
  return new FakeApiError("InsufficientCapacity", text, made);
}

interface Creation {
  readonly spec: ClusterSpec;
  readonly zone: string;
  readonly key: string;
  readonly parameters: string;
}

function createNodes(before: Change<undefined>, creation: Creation, now: Now): Change<Refused> {
  const { spec, zone, key, parameters } = creation;
  const { state } = before;
  const { offer } = spec;
  requireQuota(state, spec, now.settings);
  const free = Math.max(0, freeIn(zone, offer.instanceType, { state, settings: now.settings }));
  const isFull = free < spec.create.length && (now.settings.gang || free === 0);
  if (isFull) {
    const text = `There is room for ${free} more ${offer.instanceType}, ${spec.create.length} asked.`;
    throw new FakeApiError("InsufficientCapacity", text);
  }
  const nodes = spec.create
    .slice(0, free)
    .map((index, position) => newNode({ spec, zone, index, number: state.created + position + 1 }, now));
  const record = { parameters, ids: nodes.map((node) => node.id) };
  return {
    state: {
      ...state,
      nodes: [...state.nodes, ...nodes],
      tokens: { ...state.tokens, [key]: record },
      created: state.created + nodes.length,
    },
    ledger: [...before.ledger, ...nodes.map((node) => entry(node, "created", now.nowMs))],
    result: refusalOf(spec, nodes.length),
  };
}

function newNode(
  made: { readonly spec: ClusterSpec; readonly zone: string; readonly index: number; readonly number: number },
  { settings, nowMs }: Now,
): FakeNode {
  const { spec, zone, index, number } = made;
  const { offer } = spec;
  return {
    id: `fake-${String(number).padStart(6, "0")}`,
    nameOnCloud: spec.nameOnCloud,
    index,
    region: offer.region,
    zone,
    type: offer.instanceType,
    family: settings.types[offer.instanceType]?.family ?? offer.instanceType,
    useSpot: offer.useSpot,
    resources: spec.perNode,
    ip: addressOf(number),
    createdAtMs: nowMs,
    startedAtMs: nowMs,
    state: "running",
    isTaken: false,
  };
}

/** Nodes of one call are not seen at the same moment: between a tenth of the longest time and all of it. */
export function isVisible(node: FakeNode, { settings, nowMs }: Now): boolean {
  const share = (1 + ((Number(node.id.slice(-6)) * 7) % 10)) / 10;
  return nowMs >= node.createdAtMs + settings.visible_after * 1000 * share;
}

/** A loopback address of its own for each node, apart from those of local clusters. */
function addressOf(number: number): string {
  return `127.78.${1 + (Math.floor(number / 254) % 254)}.${1 + (number % 254)}`;
}

function requireQuota(state: FakeState, spec: ClusterSpec, settings: FakeSettings): void {
  const { offer } = spec;
  const family = settings.types[offer.instanceType]?.family ?? offer.instanceType;
  const key = `${offer.region}/${family}${offer.useSpot ? "/spot" : ""}`;
  const quota = settings.quotas[key];
  if (quota === undefined) return;
  const used = state.nodes
    .filter((node) => isOn(node) && node.region === offer.region && node.family === family)
    .filter((node) => node.useSpot === offer.useSpot)
    .reduce((sum, node) => sum + node.resources.cpus, 0);
  const wanted = spec.create.length * spec.perNode.cpus;
  if (used + wanted <= quota) return;
  throw new FakeApiError(
    "QuotaExceeded",
    `${family}${offer.useSpot ? " spot" : ""} nodes in ${offer.region} may have ${quota} vCPUs, ${used} are in use, ${wanted} were asked for.`,
  );
}

function startNodes(state: FakeState, ids: readonly InstanceId[], now: Now): Change<undefined> {
  const stopped = state.nodes.filter((node) => ids.includes(node.id) && node.state === "stopped");
  for (const node of stopped) {
    if (freeIn(node.zone, node.type, { state, settings: now.settings }) < stopped.length) {
      throw new FakeApiError("InsufficientCapacity", `${node.zone} has no room to start ${node.id} again.`);
    }
  }
  return set(state, stopped, { state: "running", startedAtMs: now.nowMs }, { what: "started", nowMs: now.nowMs });
}

type Which = (node: FakeNode) => boolean;

export function stopNodes(state: FakeState, isMeant: Which, { nowMs }: Now): Change<readonly FakeNode[]> {
  const running = state.nodes.filter((node) => isMeant(node) && isOn(node));
  return { ...set(state, running, { state: "stopped" }, { what: "stopped", nowMs }), result: running };
}

/** Terminated nodes are gone from every list. */
export function terminateNodes(state: FakeState, isMeant: Which, { nowMs }: Now): Change<readonly FakeNode[]> {
  const gone = state.nodes.filter(isMeant);
  return {
    state: { ...state, nodes: state.nodes.filter((node) => !gone.includes(node)) },
    ledger: gone.filter((node) => !node.isTaken).map((node) => entry(node, "terminated", nowMs)),
    result: gone,
  };
}

/** Nodes that end without anybody's call. They are listed as terminated until somebody terminates them. */
export function takeNodes(state: FakeState, isMeant: Which, { nowMs }: Now): Change<readonly FakeNode[]> {
  const taken = state.nodes.filter((node) => isMeant(node) && isOn(node));
  const fields = { state: "terminated", isTaken: true } as const;
  return { ...set(state, taken, fields, { what: "taken", nowMs }), result: taken };
}

export function isOverdueSpot(node: FakeNode, { settings, nowMs }: Now): boolean {
  const limitMs = settings.spot_ends_after * 1000;
  return limitMs > 0 && node.useSpot && nowMs - node.startedAtMs >= limitMs;
}

function set(
  state: FakeState,
  changed: readonly FakeNode[],
  fields: Partial<FakeNode>,
  note: { readonly what: LedgerEntry["what"]; readonly nowMs: number },
): Change<undefined> {
  return {
    state: { ...state, nodes: state.nodes.map((node) => (changed.includes(node) ? { ...node, ...fields } : node)) },
    ledger: changed.map((node) => entry(node, note.what, note.nowMs)),
    result: undefined,
  };
}
