import type { HostClaim } from "../../shared/agent/host.ts";
import { AgentError, InvalidConfigError, OperationFailedError } from "../../shared/errors.ts";
import type { CloudCommand, CloudCommandContext } from "../../core/ports/cloud.ts";
import { textOf } from "./check.ts";
import { describeHost } from "./describe.ts";
import type { KnownHost } from "./facts-store.ts";
import type { SshParts } from "./index.ts";
import { findPool, poolsFile, type Pool, type PoolHost } from "./pools.ts";

const GREEN = "\u001b[32m";
const RED = "\u001b[31m";
const RESET = "\u001b[0m";

/** `sky ssh up` and `sky ssh down`; `infra` in the arguments names one pool. */
export function createCommands(parts: SshParts): Readonly<Record<string, CloudCommand>> {
  return {
    up: { run: (args, context) => runUp(poolsOf(args, parts), parts, context) },
    down: { run: (args, context) => runDown(poolsOf(args, parts), parts, context) },
  };
}

function poolsOf(args: Readonly<Record<string, unknown>>, parts: SshParts): readonly Pool[] {
  const pools = parts.pools();
  const { infra } = args;
  if (typeof infra === "string" && infra !== "") return [findPool(pools, infra.replace(/^ssh\//, ""), parts.home)];
  if (pools.length > 0) return pools;
  throw new InvalidConfigError(`SSH Node Pools file not found: ${poolsFile(parts.home)}`, {
    hint: "List your machines there; docs/ssh.md shows how.",
  });
}

async function runUp(pools: readonly Pool[], parts: SshParts, context: CloudCommandContext): Promise<null> {
  const names = pools.map((pool) => pool.name).join(", ");
  context.say(`Found ${pools.length} Node Pool${pools.length === 1 ? "" : "s"}: ${names}`);
  let failures = 0;
  for (const pool of pools) failures += await prepare(pool, parts, context);
  if (failures > 0) {
    throw new OperationFailedError(
      `${failures} ${failures === 1 ? "host is" : "hosts are"} not set up; the others can be used.`,
      {
        hint: "Repair what is said above and repeat the command: hosts that are set up cost nothing.",
      },
    );
  }
  context.say(
    "🎉 SSH Node Pools set up successfully. Run `sky check ssh` to verify access, `sky launch --infra ssh` to launch a cluster.",
  );
  return null;
}

/** Sets up every host of a pool side by side and says what each has, in the order in which they are done. Answers how many failed. */
async function prepare(pool: Pool, parts: SshParts, context: CloudCommandContext): Promise<number> {
  const { say, signal } = context;
  say(`Preparing ${pool.hosts.length} ${pool.hosts.length === 1 ? "host" : "hosts"} of ${pool.name}:`);
  const done = await Promise.all(
    pool.hosts.map(async (host): Promise<KnownHost | undefined> => {
      try {
        const { claims, ...known } = await parts.hosts.prepare(pool.name, host, signal);
        say(`  ${GREEN}✔${RESET} ${host.host}: ${describeHost(known.facts)}${clustersText(claims)}`);
        return known;
      } catch (error) {
        if (!(error instanceof AgentError) || signal.aborted) throw error;
        say(`  ${RED}✗${RESET} ${host.host}: ${textOf(error)}`);
        return undefined;
      }
    }),
  );
  const known = done.filter((one) => one !== undefined);
  // A host that cannot be reached now keeps what was known of it: its clusters may be running.
  const before = parts.facts.read(pool).filter((one) => !known.some((other) => other.host === one.host));
  parts.facts.write(pool, [...known, ...before]);
  if (known.length === pool.hosts.length) say(`✔ Node Pool \`${pool.name}\` deployed successfully.`);
  return pool.hosts.length - known.length;
}

function clustersText(claims: readonly HostClaim[]): string {
  const names = claims.filter((one) => one.ended === undefined).map((one) => one.clusterName);
  return names.length === 0 ? "" : `; in use by ${names.join(", ")}`;
}

async function runDown(pools: readonly Pool[], parts: SshParts, context: CloudCommandContext): Promise<null> {
  const names = pools.map((pool) => pool.name).join(", ");
  context.say(`Found ${pools.length} Node Pool${pools.length === 1 ? "" : "s"}: ${names}`);
  for (const pool of pools) await clear(pool, parts, context);
  context.say("🎉 SSH Node Pools cleaned up successfully.");
  return null;
}

/** Removes what we have put on the hosts. Refuses while a cluster is on one of them. */
async function clear(pool: Pool, parts: SshParts, context: CloudCommandContext): Promise<void> {
  const { say, signal } = context;
  const known = parts.facts.read(pool);
  const hosts = pool.hosts.flatMap((host) => {
    const one = known.find(({ host: name }) => name === host.host);
    return one === undefined ? [] : [{ poolName: pool.name, host, base: one.base }];
  });
  const looks = await Promise.allSettled(hosts.map((at) => parts.hosts.ask(at, "look", { params: {}, signal })));
  signal.throwIfAborted();
  const unreached: PoolHost[] = [];
  const reasons: string[] = [];
  const claims = looks.flatMap((look, index) => {
    if (look.status === "fulfilled") return look.value.claims;
    if (!(look.reason instanceof AgentError)) throw look.reason;
    const at = hosts[index];
    if (at !== undefined) unreached.push(at.host);
    reasons.push(textOf(look.reason));
    return [];
  });
  const clusters = [...new Set(claims.filter((one) => one.ended === undefined).map((one) => one.clusterName))];
  if (clusters.length > 0) {
    throw new OperationFailedError(`Node Pool ${pool.name} is in use by ${clusters.join(", ")}.`, {
      hint: `Take down what is yours and repeat the command: sky down ${clusters.join(" ")}`,
    });
  }
  for (const at of hosts.filter(({ host }) => !unreached.includes(host))) {
    const look = looks[hosts.indexOf(at)];
    const ended = look?.status === "fulfilled" ? look.value.claims : [];
    for (const { nameOnCloud } of ended) await parts.hosts.ask(at, "release", { params: { nameOnCloud }, signal });
    await parts.hosts.clear(at, signal);
    say(`  ${GREEN}✔${RESET} ${at.host.host}: cleared`);
  }
  if (unreached.length > 0) {
    const names = unreached.map((host) => host.host).join(", ");
    throw new OperationFailedError(
      `${names} of Node Pool ${pool.name} cannot be reached and was not cleared: ${reasons.join(" ")}`,
      {
        hint: "Repeat the command when it can be reached, or remove it from the pool.",
      },
    );
  }
  parts.facts.remove(pool.name);
  say(`✔ Node Pool \`${pool.name}\` cleaned up successfully.`);
}
