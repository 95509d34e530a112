import { existsSync, accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ClaimParams, ClaimResult, HostClaim, HostFacts, Shortage } from "../../shared/agent/host.ts";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import { addKeys } from "./authorized-keys.ts";
import { readClaims, withClaimsLock, writeClaim } from "./claim-store.ts";
import { nodeFolder, type HostPaths } from "./host-paths.ts";

/** What a cluster leaves in a HOME that is not its own alone; where one of it is there already, the HOME is in use. */
export const NODE_FILES = ["sky_workdir", "sky_logs", ".sky/jobs.db"] as const;

/** Sets resources aside, or says what is missing. */
export function claim(params: ClaimParams, paths: HostPaths, facts: HostFacts): Promise<ClaimResult> {
  return withClaimsLock(paths, () => {
    const all = readClaims(paths);
    const own = all.find((one) => one.nameOnCloud === params.nameOnCloud && one.ended === undefined);
    if (own !== undefined) return { ...install(own, params, paths, facts), isNew: false };
    // A cluster that took itself down holds nothing, whether or not somebody has cleaned up after it.
    const others = all.filter((one) => one.nameOnCloud !== params.nameOnCloud && one.ended === undefined);
    const gpus = pickGpus(params, others, facts);
    const shortages = [...countedShortages(params.reserved, others, facts), ...gpus.shortages];
    if (shortages.length > 0) return { ok: false, shortages };
    const folder = nodeFolder(paths, params.nameOnCloud);
    const { clusterName, nameOnCloud, index, owner, reserved, perNode } = params;
    const home = chooseHome(others, folder, facts.home);
    const agentRoot = join(folder, "agent");
    const made: HostClaim = {
      clusterName,
      nameOnCloud,
      index,
      owner,
      reserved,
      perNode,
      gpus: gpus.picked,
      home,
      agentRoot,
    };
    return { ...install(made, params, paths, facts), isNew: true };
  });
}

function install(made: HostClaim, params: ClaimParams, paths: HostPaths, facts: HostFacts) {
  const current = { ...made, index: params.index };
  writeClaim(paths, current);
  for (const directory of [current.agentRoot, current.home]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  addKeys(facts.home, current.nameOnCloud, params.authorizedKeys);
  return { ok: true, claim: current } as const;
}

/**
 * The login's own HOME for the first cluster, so that `ssh`, files and programs are where users look for them; a HOME of its own
 * for one that comes to a machine where the first one still is, or where HOME is not for us.
 */
function chooseHome(others: readonly HostClaim[], folder: string, home: string): string {
  const isTaken =
    others.some((one) => one.home === home) ||
    NODE_FILES.some((name) => existsSync(join(home, name))) ||
    !canWrite(home);
  return isTaken ? join(folder, "home") : home;
}

function canWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function countedShortages(wanted: NodeResources, others: readonly HostClaim[], facts: HostFacts): readonly Shortage[] {
  const kinds = [
    { what: "CPUs", total: facts.cpus, read: (resources: NodeResources) => resources.cpus },
    { what: "GiB of memory", total: facts.memoryGib, read: (resources: NodeResources) => resources.memoryGib },
  ];
  return kinds.flatMap(({ what, total, read }) => {
    const holders = others
      .map((one) => ({ clusterName: one.clusterName, amount: read(one.reserved) }))
      .filter((holder) => holder.amount > 0);
    const free = total - holders.reduce((sum, holder) => sum + holder.amount, 0);
    // Sums of decimal fractions are not exact.
    return read(wanted) === 0 || read(wanted) <= free + 1e-6
      ? []
      : [{ what, total, free: Math.max(0, free), wanted: read(wanted), holders }];
  });
}

/** Whole devices only, because clusters do not see each other's jobs. */
function pickGpus(
  params: ClaimParams,
  others: readonly HostClaim[],
  facts: HostFacts,
): { readonly picked: readonly number[]; readonly shortages: readonly Shortage[] } {
  const taken = new Set(others.flatMap((one) => one.gpus));
  const picked: number[] = [];
  const shortages: Shortage[] = [];
  for (const [what, count] of Object.entries(params.perNode.accelerators)) {
    const devices = facts.gpus.flatMap((name, index) => (name === what ? [index] : []));
    const free = devices.filter((index) => !taken.has(index));
    const wanted = Math.ceil(count);
    if (wanted <= free.length) picked.push(...free.slice(0, wanted));
    else {
      const holders = others
        .map((one) => ({
          clusterName: one.clusterName,
          amount: one.gpus.filter((index) => devices.includes(index)).length,
        }))
        .filter((holder) => holder.amount > 0);
      shortages.push({ what, total: devices.length, free: free.length, wanted, holders });
    }
  }
  return { picked, shortages };
}
