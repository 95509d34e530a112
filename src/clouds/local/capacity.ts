import { createHash } from "node:crypto";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import { NoCapacityError } from "../../shared/errors.ts";
import type { ClusterSpec } from "../../core/ports/cloud.ts";
import type { Allocation, LocalNode } from "./allocations.ts";
import type { Machine } from "./machine.ts";

/** One reservation of several: who holds how much. */
interface Claim {
  readonly clusterName: string;
  readonly amount: number;
}

/**
 * Picks the nodes of a cluster out of what the others leave. Nodes that it has already are kept, so that addresses survive a stop.
 * Throws NoCapacityError that says who holds what.
 */
export function allocateNodes(
  spec: ClusterSpec,
  others: readonly Allocation[],
  machine: Machine,
  options: { readonly home: string; readonly kept: readonly LocalNode[] },
): readonly LocalNode[] {
  const reserved = spec.offer.reserved ?? spec.perNode;
  const running = others.filter((other) => other.state === "running");
  requireFree(
    "CPUs",
    "CPU",
    machine.cpus,
    reserved.cpus * spec.numNodes,
    claims(running, (r) => r.cpus),
  );
  requireFree(
    "GiB of memory",
    "GiB of memory",
    machine.memoryGib,
    reserved.memoryGib * spec.numNodes,
    claims(running, (r) => r.memoryGib),
  );
  const gpus = pickGpus(spec, running, machine);
  const taken = new Set(others.flatMap((other) => other.nodes.map((node) => node.ip)));
  return gpus.map((devices, index) => {
    const ip = options.kept[index]?.ip ?? pickAddress(taken, machine, options.home);
    taken.add(ip);
    return { index, ip, gpus: devices };
  });
}

function claims(running: readonly Allocation[], read: (reserved: NodeResources) => number): readonly Claim[] {
  return running
    .map((other) => ({ clusterName: other.clusterName, amount: read(other.reserved) * other.nodes.length }))
    .filter((claim) => claim.amount > 0);
}

function requireFree(many: string, one: string, total: number, wanted: number, held: readonly Claim[]): void {
  const free = total - held.reduce((sum, claim) => sum + claim.amount, 0);
  // Sums of decimal fractions are not exact.
  if (wanted === 0 || wanted <= free + 1e-6) return;
  const holders = held.map((claim) => `${claim.clusterName}: ${round(claim.amount)}`).join(", ");
  throw new NoCapacityError(
    `This machine has ${round(total)} ${total === 1 ? one : many}, of which ${round(Math.max(0, free))} ${free === 1 ? "is" : "are"} free` +
      `${holders === "" ? "" : ` (${holders})`}; the cluster needs ${round(wanted)}.`,
    { hint: makeRoom(held.map((claim) => claim.clusterName)) },
  );
}

/** `holders`: clusters that have what is missing. */
function makeRoom(holders: readonly string[]): string {
  const names = [...new Set(holders)].join(" ");
  return names === "" ? "Ask for less." : `To make room: sky stop ${names} (or sky down), or ask for less.`;
}

function round(amount: number): string {
  return String(Math.round(amount * 100) / 100);
}

/** Device indices for each node; whole devices only, because two clusters cannot see each other's jobs. */
function pickGpus(spec: ClusterSpec, running: readonly Allocation[], machine: Machine): readonly (readonly number[])[] {
  const held = new Map<number, string>();
  for (const other of running) {
    for (const index of other.nodes.flatMap((node) => node.gpus)) held.set(index, other.clusterName);
  }
  const free = new Map<string, number[]>();
  machine.gpus.forEach((name, index) => {
    if (!held.has(index)) free.set(name, [...(free.get(name) ?? []), index]);
  });
  return Array.from({ length: spec.numNodes }, () =>
    Object.entries(spec.perNode.accelerators).flatMap(([name, count]) => {
      const picked = free.get(name)?.splice(0, Math.ceil(count)) ?? [];
      if (picked.length < Math.ceil(count)) throw noGpus(spec, name, machine, held);
      return picked;
    }),
  );
}

function noGpus(spec: ClusterSpec, name: string, machine: Machine, held: ReadonlyMap<number, string>): NoCapacityError {
  const own = machine.gpus.flatMap((gpu, index) => (gpu === name ? [index] : []));
  const holders = own.flatMap((index) => (held.has(index) ? [`${held.get(index)}: device ${index}`] : []));
  const wanted = Math.ceil(spec.perNode.accelerators[name] ?? 0) * spec.numNodes;
  return new NoCapacityError(
    `This machine has ${own.length} ${name}, of which ${own.length - holders.length} ${own.length - holders.length === 1 ? "is" : "are"} free` +
      `${holders.length === 0 ? "" : ` (${holders.join(", ")})`}; the cluster needs ${wanted}.`,
    { hint: makeRoom(own.flatMap((index) => held.get(index) ?? [])) },
  );
}

/**
 * A loopback address of its own for each node, so that several nodes may bind the same port. Different homes begin at
 * different places, because they do not see each other's clusters.
 */
function pickAddress(taken: ReadonlySet<string>, machine: Machine, home: string): string {
  if (!machine.hasLoopbackNet) return "127.0.0.1";
  const places = 254 * 254;
  const start = createHash("sha256").update(home).digest().readUInt32BE(0) % places;
  for (let i = 0; i < places; i++) {
    const place = (start + i) % places;
    const ip = `127.77.${1 + Math.floor(place / 254)}.${1 + (place % 254)}`;
    if (!taken.has(ip)) return ip;
  }
  throw new NoCapacityError("Every loopback address for local nodes is taken.");
}
