import type { NodeResources } from "../../shared/agent/protocol.ts";
import type { Offer, OfferRequest, OfferSet } from "../../core/ports/cloud.ts";
import type { Machine } from "./machine.ts";

/** The one offer of this machine, or why it can never run the task, whatever else runs here. */
export function offersOf(request: OfferRequest, machine: Machine): OfferSet {
  const reasons = impossibilities(request, machine);
  if (reasons.length > 0) {
    const counts = countGpus(machine);
    const suggestions = Object.keys(request.accelerators).length > 0 ? Object.entries(counts) : [];
    return {
      offers: [],
      rejected: reasons.map((reason) => ({ what: "this machine", reason })),
      suggestions: suggestions.map(([name, count]) => `${name}:${count}`),
    };
  }
  return { offers: [makeOffer(request, machine)], rejected: [], suggestions: [] };
}

function impossibilities(request: OfferRequest, machine: Machine): readonly string[] {
  return [...missingKinds(request, machine), ...missingAmounts(request, machine)];
}

function missingKinds(request: OfferRequest, machine: Machine): readonly string[] {
  const reasons: string[] = [];
  if (request.region !== undefined && request.region !== "local") {
    reasons.push(`there is no region '${request.region}' on the local machine`);
  }
  if (request.zone !== undefined) reasons.push("the local machine has no zones");
  if (request.instanceType !== undefined && request.instanceType !== instanceTypeOf(makeResources(request, machine))) {
    reasons.push(`the local machine has no instance type '${request.instanceType}'`);
  }
  if (request.useSpot) reasons.push("the local machine has no spot instances");
  if (request.imageId !== undefined) reasons.push("images are not available on the local machine");
  return reasons;
}

function missingAmounts(request: OfferRequest, machine: Machine): readonly string[] {
  const each = request.numNodes > 1 ? ` on each of ${request.numNodes} nodes` : "";
  const gpus = countGpus(machine);
  const amounts: readonly (readonly [string, number, number])[] = [
    [`${request.cpus?.count ?? 0} CPUs`, request.cpus?.count ?? 0, machine.cpus],
    [`${memoryOf(request, machine) ?? 0} GiB of memory`, memoryOf(request, machine) ?? 0, machine.memoryGib],
    ...Object.entries(request.accelerators).map(
      ([name, count]) => [`${name}:${count}`, Math.ceil(count), gpus[name] ?? 0] as const,
    ),
  ];
  return amounts
    .filter(([, wanted, has]) => wanted * request.numNodes > has)
    .map(([what, , has]) => `${what}${each} asked, the machine has ${has}`);
}

function memoryOf(request: OfferRequest, machine: Machine): number | undefined {
  if (request.memory === undefined) return undefined;
  if (!request.memory.perCpu) return request.memory.amount;
  return request.memory.amount * (request.cpus?.count ?? machine.cpus);
}

function makeResources(request: OfferRequest, machine: Machine): NodeResources {
  return {
    cpus: request.cpus?.count ?? machine.cpus,
    memoryGib: memoryOf(request, machine) ?? machine.memoryGib,
    accelerators: request.accelerators,
  };
}

function makeOffer(request: OfferRequest, machine: Machine): Offer {
  const resources = makeResources(request, machine);
  return {
    cloud: "local",
    region: "local",
    zone: null,
    instanceType: instanceTypeOf(resources),
    resources,
    useSpot: false,
    priceUsdPerHour: 0,
    // What the task names is set aside strictly; what it does not name is shared, so that small clusters fit on a small machine.
    reserved: {
      cpus: request.cpus?.count ?? 0,
      memoryGib: memoryOf(request, machine) ?? 0,
      accelerators: request.accelerators,
    },
  };
}

/** The form of clouds without fixed types: `2CPU--4GB`, `2CPU--4GB--T4:1`. */
function instanceTypeOf(resources: NodeResources): string {
  const gpu = Object.entries(resources.accelerators)[0];
  return `${resources.cpus}CPU--${resources.memoryGib}GB${gpu === undefined ? "" : `--${gpu[0]}:${gpu[1]}`}`;
}

function countGpus(machine: Machine): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of machine.gpus) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
