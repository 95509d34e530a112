import { AgentError } from "../../shared/errors.ts";
import type { CheckResult, CloudContext } from "../../core/ports/cloud.ts";
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
export async function checkPools(pools: readonly Pool[], parts: SshParts, context: CloudContext): Promise<CheckResult> {
  if (pools.length === 0) {
    const text = `No SSH node pools are listed in ${poolsFile(parts.home)}. See docs/ssh.md.`;
    return { enabled: [], reasons: [{ capabilities: ["compute"], text }], details: [] };
  }
  const states = await Promise.all(pools.map((pool) => checkPool(pool, parts, context)));
  const usable = states.filter(({ hosts }) => hosts.some((one) => one.problem === undefined));
  const problems = states.flatMap((state) => problemText(state) ?? []);
  const texts = problems.map((text) => ({ capabilities: ["compute"] as const, text }));
  return {
    enabled: usable.length > 0 ? ["compute"] : [],
    reasons: usable.length > 0 ? [] : texts,
    hints: usable.length > 0 ? texts : [],
    details: states.flatMap(detailLines),
  };
}

async function checkPool(pool: Pool, parts: SshParts, context: CloudContext): Promise<PoolState> {
  const known = parts.facts.read(pool);
  const hosts = await Promise.all(
    pool.hosts.map(async (host): Promise<HostState> => {
      const facts = known.find((one) => one.host === host.host)?.facts;
      const detail = facts === undefined ? undefined : describeHost(facts);
      const problem = await parts.hosts.greet(pool.name, host, context.signal).then(
        () => (facts === undefined ? `not set up. Run: sky ssh up --infra ${pool.name}` : undefined),
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

function problemText({ pool, hosts }: PoolState): string | undefined {
  const bad = hosts.filter((one) => one.problem !== undefined);
  if (bad.length === 0) return undefined;
  const all = hosts.length;
  const first = bad[0]?.problem;
  // One cause for all of them needs to be told once.
  if (bad.length === all && bad.every((one) => one.problem === first) && all > 1) return `${pool.name}: ${first}`;
  const lines = bad.map(({ host, problem }) => `      ${host.host}: ${problem}`);
  return [`${pool.name}: ${bad.length} of ${all} ${all === 1 ? "host" : "hosts"} cannot be used:`, ...lines].join("\n");
}

function detailLines({ pool, hosts }: PoolState): readonly string[] {
  const good = hosts.filter((one) => one.problem === undefined);
  return [
    `Pool ${pool.name}: ${good.length} of ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"} can be used`,
    ...good.map(({ host, detail }) => `  ${host.host}: ${detail}`),
  ];
}
