import type { HostClaim, HostFacts } from "../../shared/agent/host.ts";
import { AgentError } from "../../shared/errors.ts";
import type { MachineGroup, MachineUse, Share } from "../../core/ports/cloud.ts";
import type { KnownHost } from "./facts-store.ts";
import type { SshParts } from "./index.ts";
import type { Pool, PoolHost } from "./pools.ts";

/** A host that is off must not keep somebody waiting who wants to see the others. */
const PATIENCE_MS = 10_000;

/** Asks every host that is set up, all at once, what of it is free. */
export function askMachines(
  pools: readonly Pool[],
  parts: Pick<SshParts, "hosts" | "facts">,
  signal: AbortSignal,
): Promise<readonly MachineGroup[]> {
  return Promise.all(
    pools.map(async (pool) => ({
      region: pool.name,
      machines: await Promise.all(
        parts.facts.read(pool).flatMap((known) => {
          const host = pool.hosts.find((one) => one.host === known.host);
          return host === undefined ? [] : [askMachine({ pool, host, known }, parts, signal)];
        }),
      ),
    })),
  );
}

async function askMachine(
  { pool, host, known }: { readonly pool: Pool; readonly host: PoolHost; readonly known: KnownHost },
  parts: Pick<SshParts, "hosts">,
  signal: AbortSignal,
): Promise<MachineUse> {
  const { host: name, address, base } = known;
  const own = { name, address: address.hostName };
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const at = { poolName: pool.name, host, base };
    const look = await parts.hosts.ask(at, "look", { params: {}, signal: AbortSignal.any([signal, patience]) });
    const claims = look.claims.filter(({ ended }) => ended === undefined);
    return { ...own, ...sharesOf(look.facts, claims) };
  } catch (error) {
    if (signal.aborted || !(patience.aborted || error instanceof AgentError)) throw error;
    const problem = error instanceof AgentError ? error.message : `no answer within ${PATIENCE_MS / 1000} s`;
    return { ...own, ...nothingFree(sharesOf(known.facts, [])), problem };
  }
}

type Shares = Pick<MachineUse, "cpus" | "memoryGib" | "gpus">;

function sharesOf(facts: HostFacts, claims: readonly HostClaim[]): Shares {
  const taken = new Set(claims.flatMap(({ gpus }) => gpus));
  const kinds = [...new Set(facts.gpus)];
  const gpus = kinds.map((kind) => {
    const devices = facts.gpus.flatMap((name, index) => (name === kind ? [index] : []));
    return [kind, { total: devices.length, free: devices.filter((index) => !taken.has(index)).length }] as const;
  });
  return {
    cpus: shareOf(
      facts.cpus,
      claims.map(({ reserved }) => reserved.cpus),
    ),
    memoryGib: shareOf(
      facts.memoryGib,
      claims.map(({ reserved }) => reserved.memoryGib),
    ),
    gpus: Object.fromEntries(gpus),
  };
}

function shareOf(total: number, held: readonly number[]): Share {
  return {
    total,
    free: Math.max(
      0,
      held.reduce((left, one) => left - one, total),
    ),
  };
}

function nothingFree({ cpus, memoryGib, gpus }: Shares): Shares {
  const none = (share: Share): Share => ({ ...share, free: 0 });
  const kinds = Object.entries(gpus).map(([kind, share]) => [kind, none(share)] as const);
  return { cpus: none(cpus), memoryGib: none(memoryGib), gpus: Object.fromEntries(kinds) };
}
