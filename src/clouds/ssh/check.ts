import { AgentError } from "../../shared/errors.ts";
import type { CheckResult, CloudContext } from "../../core/ports/cloud.ts";
import { allowedPools } from "./config.ts";
import { describeHost } from "./describe.ts";
import type { SshParts } from "./index.ts";
import { poolsFile, type Pool, type PoolHost } from "./pools.ts";

interface HostState {
  readonly host: PoolHost;
  /** Why it cannot be used; undefined when it can. */
  readonly problem: string | undefined;
  readonly detail: string | undefined;
}

interface PoolState {
  readonly pool: Pool;
  readonly hosts: readonly HostState[];
}

/** Asks every host of every pool whether it answers. A pool with one that does is enough. */
export async function checkPools(parts: SshParts, context: CloudContext): Promise<CheckResult> {
  const all = parts.pools();
  const pools = allowedPools(all, context);
  if (pools.length === 0) {
    const text = `No SSH node pools are listed in ${poolsFile(parts.home)}. See docs/ssh.md.`;
    return { enabled: [], reasons: [{ capabilities: ["compute"], text }], details: [] };
  }
  const states = await Promise.all(pools.map((pool) => checkPool(pool, parts, context)));
  const isAnyUsable = states.some(isUsable);
  const list = all.map((pool) => {
    const state = states.find((one) => one.pool === pool);
    if (state === undefined) return { name: pool.name, isEnabled: false, problem: NOT_ALLOWED };
    const problem = problemText(state);
    return { name: pool.name, isEnabled: isUsable(state), ...(problem === undefined ? {} : { problem }) };
  });
  const problems = list.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]));
  const reasons = problems.map((text) => ({ capabilities: ["compute"] as const, text }));
  return {
    enabled: isAnyUsable ? ["compute"] : [],
    reasons: isAnyUsable ? [] : reasons,
    details: states.flatMap(detailLines),
    places: { title: "SSH Node Pools", list },
  };
}

const NOT_SET_UP = "not set up. Run: sky ssh up";
const NOT_ALLOWED = "Not included in allowed_node_pools configuration.";

function isUsable({ hosts }: PoolState): boolean {
  return hosts.some((one) => one.problem === undefined);
}

async function checkPool(pool: Pool, parts: SshParts, context: CloudContext): Promise<PoolState> {
  const known = parts.facts.read(pool);
  const hosts = await Promise.all(
    pool.hosts.map(async (host): Promise<HostState> => {
      const facts = known.find((one) => one.host === host.host)?.facts;
      const detail = facts === undefined ? undefined : describeHost(facts);
      const problem = await parts.hosts.greet(pool.name, host, context.signal).then(
        () => (facts === undefined ? NOT_SET_UP : undefined),
        (error: unknown) => {
          if (error instanceof AgentError) return textOf(error);
          throw error;
        },
      );
      return { host, problem, detail };
    }),
  );
  return { pool, hosts };
}

export function textOf(error: AgentError): string {
  return error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
}

/** What is wrong with the pool or some of its hosts, a line for each host. */
function problemText({ pool, hosts }: PoolState): string | undefined {
  const bad = hosts.filter((one) => one.problem !== undefined);
  if (bad.length === 0) return undefined;
  if (bad.every((one) => one.problem === NOT_SET_UP) && bad.length === hosts.length) {
    return `Not set up. Use \`sky ssh up --infra ${pool.name}\` to set up.`;
  }
  const all = hosts.length;
  const lines = bad.map(({ host, problem }) => `${host.host}: ${problem}`);
  return [`${bad.length} of ${all} ${all === 1 ? "host" : "hosts"} cannot be used:`, ...lines].join("\n");
}

function detailLines({ pool, hosts }: PoolState): readonly string[] {
  const good = hosts.filter((one) => one.problem === undefined);
  return [
    `Pool ${pool.name}: ${good.length} of ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"} can be used`,
    ...good.map(({ host, detail }) => `  ${host.host}: ${detail}`),
  ];
}
