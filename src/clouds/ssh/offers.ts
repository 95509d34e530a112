import type { HostFacts } from "../../shared/agent/host.ts";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import type { ClusterSpec, Offer, OfferRequest, OfferSet } from "../../core/ports/cloud.ts";
import type { KnownHost } from "./facts-store.ts";

export interface KnownPool {
  readonly name: string;
  /** Hosts that are set up. */
  readonly hosts: readonly KnownHost[];
}

/** For each pool the offer of its hosts that can ever run the task, or why there are too few. */
export function offersOf(request: OfferRequest, pools: readonly KnownPool[]): OfferSet {
  const asked = pools.filter((pool) => request.region === undefined || pool.name === request.region);
  const answers = asked.map((pool) => offerOfPool(request, pool));
  const unknown =
    request.region !== undefined && asked.length === 0
      ? [{ what: request.region, reason: `there is no pool '${request.region}' that is set up` }]
      : [];
  const isAboutGpus = Object.keys(request.accelerators).length > 0;
  return {
    offers: answers.flatMap(({ offer }) => offer ?? []),
    rejected: [...unknown, ...answers.flatMap(({ rejected }) => rejected ?? [])],
    suggestions: isAboutGpus
      ? [...new Set(asked.flatMap(({ hosts }) => hosts.flatMap(({ facts }) => gpuNames(facts))))]
      : [],
  };
}

type Wish = Pick<OfferRequest, "cpus" | "memory" | "accelerators">;

interface PoolAnswer {
  readonly offer?: Offer;
  readonly rejected?: { readonly what: string; readonly reason: string };
}

function offerOfPool(request: OfferRequest, pool: KnownPool): PoolAnswer {
  const general = generalReason(request);
  if (general !== undefined) return { rejected: { what: pool.name, reason: general } };
  if (pool.hosts.length === 0) {
    return { rejected: { what: pool.name, reason: `it is not set up: sky ssh up --infra ${pool.name}` } };
  }
  const fitting = pool.hosts.filter(({ facts }) => misfitOf(request, facts) === undefined);
  if (fitting.length >= request.numNodes) {
    const offer = makeOffer(request, pool.name, fitting);
    if (request.instanceType === undefined || request.instanceType === offer.instanceType) return { offer };
    return { rejected: { what: pool.name, reason: `no instance type '${request.instanceType}'` } };
  }
  const misfit = pool.hosts.flatMap(({ facts }) => misfitOf(request, facts) ?? [])[0];
  const why = misfit === undefined ? "" : ` (${misfit})`;
  const counted = `${pool.hosts.length} ${pool.hosts.length === 1 ? "host" : "hosts"}`;
  return {
    rejected: {
      what: pool.name,
      reason: `${request.numNodes} ${request.numNodes === 1 ? "node" : "nodes"} asked, ${fitting.length} of ${counted} can run one${why}`,
    },
  };
}

function generalReason(request: OfferRequest): string | undefined {
  if (request.zone !== undefined) return "pools have no zones";
  if (request.useSpot) return "pools have no spot instances";
  if (request.imageId !== undefined) return "machine images are not available on SSH node pools";
  return undefined;
}

/** Why a host can never run a node of the task, whatever else runs on it. */
export function misfitOf(request: Wish, facts: HostFacts): string | undefined {
  const gpus = countGpus(facts);
  const memory = memoryOf(request, facts.cpus) ?? 0;
  const wanted: readonly (readonly [string, number, number])[] = [
    [`${request.cpus?.count ?? 0} CPUs`, request.cpus?.count ?? 0, facts.cpus],
    [`${memory} GiB of memory`, memory, facts.memoryGib],
    ...Object.entries(request.accelerators).map(
      ([name, count]) => [`${name}:${count}`, Math.ceil(count), gpus[name] ?? 0] as const,
    ),
  ];
  const lacking = wanted.find(([, amount, has]) => amount > has);
  return lacking === undefined ? undefined : `${lacking[0]} asked, ${facts.hostname} has ${lacking[2]}`;
}

/** The same for a cluster that is decided on. */
export function misfitOfSpec(spec: ClusterSpec, facts: HostFacts): string | undefined {
  const { cpus, memoryGib, accelerators } = spec.perNode;
  const request = {
    cpus: { count: cpus, orMore: true },
    memory: { amount: memoryGib, orMore: true, perCpu: false },
    accelerators,
  };
  return misfitOf(request, facts);
}

function memoryOf(request: Wish, cpus: number): number | undefined {
  if (request.memory === undefined) return undefined;
  return request.memory.perCpu ? request.memory.amount * (request.cpus?.count ?? cpus) : request.memory.amount;
}

/** What is not named may be used in full, and is shared: a node then has what the smallest of the hosts has. */
function makeOffer(request: OfferRequest, pool: string, hosts: readonly KnownHost[]): Offer {
  const least = (read: (facts: HostFacts) => number): number => Math.min(...hosts.map(({ facts }) => read(facts)));
  const cpus = request.cpus?.count ?? least((facts) => facts.cpus);
  const memory = memoryOf(request, cpus);
  const resources: NodeResources = {
    cpus,
    memoryGib: memory ?? least((facts) => facts.memoryGib),
    accelerators: request.accelerators,
  };
  const [first] = hosts;
  return {
    cloud: "ssh",
    region: pool,
    zone: null,
    instanceType: instanceTypeOf(resources),
    resources,
    useSpot: false,
    priceUsdPerHour: 0,
    reserved: { cpus: request.cpus?.count ?? 0, memoryGib: memory ?? 0, accelerators: request.accelerators },
    ...(first === undefined ? {} : { arch: first.facts.arch === "arm64" ? "arm64" : "x86_64" }),
  };
}

/** The form of clouds without fixed types: `2CPU--4GB`, `2CPU--4GB--T4:1`. */
function instanceTypeOf(resources: NodeResources): string {
  const gpu = Object.entries(resources.accelerators)[0];
  return `${resources.cpus}CPU--${resources.memoryGib}GB${gpu === undefined ? "" : `--${gpu[0]}:${gpu[1]}`}`;
}

function gpuNames(facts: HostFacts): readonly string[] {
  return Object.entries(countGpus(facts)).map(([name, count]) => `${name}:${count}`);
}

export function countGpus(facts: HostFacts): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of facts.gpus) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
