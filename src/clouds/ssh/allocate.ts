import { setTimeout as delay } from "node:timers/promises";
import type { ClaimResult, HostClaim, HostLook, Shortage } from "../../shared/agent/host.ts";
import { AgentError, NoCapacityError } from "../../shared/errors.ts";
import type { ClusterSpec } from "../../core/ports/cloud.ts";
import { countGpus } from "./offers.ts";
import type { KnownHost } from "./facts-store.ts";

/** What picking hosts needs of them. */
export interface HostAccess {
  look(host: KnownHost): Promise<HostLook>;
  claim(host: KnownHost, index: number): Promise<ClaimResult>;
  release(host: KnownHost): Promise<void>;
  /** Told before hosts are asked to give something, and again when it came to nothing: which ones may hold something for the cluster. */
  note(holders: readonly KnownHost[]): void;
}

export interface Given {
  readonly host: KnownHost;
  readonly claim: HostClaim;
  /** As `ClaimResult` has it. */
  readonly isNew: boolean;
}

/** Two clusters that want the same hosts at the same moment may both get some of them, and both have to give them back. */
const TRIES = 4;

/**
 * Gets one node on each of `numNodes` hosts, all or none; `kept` are hosts that the cluster has already. Throws NoCapacityError that says
 * for each host what is missing and who has it.
 */
export async function allocate(
  spec: ClusterSpec,
  hosts: { readonly pool: readonly KnownHost[]; readonly kept: readonly KnownHost[] },
  access: HostAccess,
  options: { readonly signal: AbortSignal; readonly random: () => number },
): Promise<readonly Given[]> {
  for (let attempt = 1; ; attempt += 1) {
    const refusals = new Map<string, string>();
    const given = await tryOnce(spec, hosts, access, refusals);
    if (given !== undefined) return given;
    const isRace = [...refusals.values()].some((text) => text === RACE);
    if (!isRace || attempt >= TRIES) throw noCapacity(spec, hosts.pool.length, refusals);
    await delay(100 + options.random() * 400 * attempt, undefined, { signal: options.signal });
  }
}

const RACE = "another cluster was faster";

async function tryOnce(
  spec: ClusterSpec,
  hosts: { readonly pool: readonly KnownHost[]; readonly kept: readonly KnownHost[] },
  access: HostAccess,
  refusals: Map<string, string>,
): Promise<readonly Given[] | undefined> {
  const kept = hosts.kept.slice(0, spec.numNodes);
  const others = hosts.pool.filter((host) => !kept.some((one) => one.host === host.host));
  const free = kept.length === spec.numNodes ? [] : await rank(spec, others, { access, refusals });
  const picked = [...kept, ...free.slice(0, spec.numNodes - kept.length)];
  if (picked.length < spec.numNodes) return undefined;
  access.note(picked);
  const answers = await Promise.all(picked.map((host, index) => ask(host, index, { access, refusals })));
  const given = answers.filter((one) => typeof one === "object");
  if (given.length === picked.length) return given;
  // What the cluster had before this attempt is not given back.
  const holders = await Promise.all(
    picked.map(async (host, index) => kept.includes(host) || (await isHeld(host, answers[index], access))),
  );
  access.note(picked.filter((_host, index) => holders[index]));
  return undefined;
}

/** What came of asking a host: what it gave, that it refused, or that nobody knows because it failed. */
type Answer = Given | "refused" | "failed";

async function ask(
  host: KnownHost,
  index: number,
  { access, refusals }: { readonly access: HostAccess; readonly refusals: Map<string, string> },
): Promise<Answer> {
  try {
    const answer = await access.claim(host, index);
    if (answer.ok) return { host, claim: answer.claim, isNew: answer.isNew };
    refusals.set(host.host, RACE);
    return "refused";
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    refusals.set(host.host, error.message);
    return "failed";
  }
}

/** Gives back what a host gave. Answers whether it may hold something all the same. */
async function isHeld(host: KnownHost, answer: Answer | undefined, access: HostAccess): Promise<boolean> {
  if (typeof answer !== "object") return answer === "failed";
  return access.release(host).then(
    () => false,
    () => true,
  );
}

/** Hosts with room at this moment: those with the fewest clusters first, so that each has as much of a machine as there is. */
async function rank(
  spec: ClusterSpec,
  hosts: readonly KnownHost[],
  { access, refusals }: { readonly access: HostAccess; readonly refusals: Map<string, string> },
): Promise<readonly KnownHost[]> {
  const looks = await Promise.all(
    hosts.map(async (host) => {
      try {
        return { host, look: await access.look(host) };
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        refusals.set(host.host, error.message);
        return undefined;
      }
    }),
  );
  const free = looks.flatMap((one) => {
    if (one === undefined) return [];
    const claims = one.look.claims.filter(
      (claim) => claim.ended === undefined && claim.nameOnCloud !== spec.nameOnCloud,
    );
    const shortages = shortagesOf(spec, one.look, claims);
    if (shortages.length > 0) refusals.set(one.host.host, shortages.map(shortageText).join("; "));
    return shortages.length > 0 ? [] : [{ host: one.host, clusters: claims.length }];
  });
  return free.sort((a, b) => a.clusters - b.clusters).map(({ host }) => host);
}

/** The host decides; this only saves asking those that would say no, and says who has what. */
function shortagesOf(spec: ClusterSpec, { facts }: HostLook, claims: readonly HostClaim[]): readonly Shortage[] {
  const reserved = spec.offer.reserved ?? spec.perNode;
  const gpus = countGpus(facts);
  const kinds = [
    { what: "CPUs", total: facts.cpus, wanted: reserved.cpus, held: (one: HostClaim) => one.reserved.cpus },
    {
      what: "GiB of memory",
      total: facts.memoryGib,
      wanted: reserved.memoryGib,
      held: (one: HostClaim) => one.reserved.memoryGib,
    },
    ...Object.entries(spec.perNode.accelerators).map(([what, count]) => ({
      what,
      total: gpus[what] ?? 0,
      wanted: Math.ceil(count),
      held: (one: HostClaim) => one.gpus.filter((index) => facts.gpus[index] === what).length,
    })),
  ];
  return kinds.flatMap(({ what, total, wanted, held }) => {
    const holders = claims
      .map((one) => ({ clusterName: one.clusterName, amount: held(one) }))
      .filter(({ amount }) => amount > 0);
    const free = Math.max(0, total - holders.reduce((sum, { amount }) => sum + amount, 0));
    return wanted === 0 || wanted <= free + 1e-6 ? [] : [{ what, total, free, wanted, holders }];
  });
}

function shortageText({ what, total, free, wanted, holders }: Shortage): string {
  const by = holders.map(({ clusterName, amount }) => `${clusterName}: ${round(amount)}`).join(", ");
  return `${round(free)} of ${round(total)} ${what} free${by === "" ? "" : ` (${by})`}, ${round(wanted)} needed`;
}

function round(amount: number): string {
  return String(Math.round(amount * 100) / 100);
}

function noCapacity(spec: ClusterSpec, count: number, refusals: ReadonlyMap<string, string>): NoCapacityError {
  const usable = count - refusals.size;
  const lines = [...refusals].map(([host, why]) => `\n  ${host}: ${why}`);
  return new NoCapacityError(
    `Pool ${spec.offer.region} has ${count} ${count === 1 ? "host" : "hosts"}, of which ${usable} can take a node now; the cluster needs ${spec.numNodes}.${lines.join("")}`,
    { hint: "To make room, take down clusters that are not needed (sky status, sky down), or ask for less." },
  );
}
