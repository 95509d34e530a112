import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { readBundle } from "../../platform/agent-bundle.ts";
import type { Cloud, CloudContext } from "../../core/ports/cloud.ts";
import { createSshTools, type SshTools } from "../../runners/ssh/tools.ts";
import { checkPools } from "./check.ts";
import { allowedPools } from "./config.ts";
import { createCommands } from "./commands.ts";
import { FactsStore } from "./facts-store.ts";
import { Hosts } from "./hosts.ts";
import { askMachines } from "./machines.ts";
import { Nodes } from "./nodes.ts";
import { offersOf } from "./offers.ts";
import { readPools, type Pool } from "./pools.ts";
import { Records } from "./records.ts";

export interface SshCloudOptions {
  /** HOME of the server's user: pools, SSH configuration, state. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the agent's program. */
  readonly agentBundle: string;
  /** Replaces the user's OpenSSH in tests. */
  readonly tools?: SshTools;
}

/** What the parts of this cloud share. */
export interface SshParts {
  readonly home: string;
  readonly stateDir: string;
  readonly hosts: Hosts;
  readonly facts: FactsStore;
  readonly records: Records;
  readonly tools: SshTools;
  readonly pools: () => readonly Pool[];
}

/** Machines that answer to SSH, listed in pools by the user. */
export function createSshCloud(options: SshCloudOptions): Cloud {
  const { home } = options;
  const stateDir = join(home, ".sky", "ts", "ssh");
  mkdirSync(join(stateDir, "known_hosts"), { recursive: true, mode: 0o700 });
  const tools = options.tools ?? createSshTools(options);
  const hosts = new Hosts({ tools, home, stateDir, bundle: () => readBundle(options.agentBundle) });
  const parts: SshParts = {
    home,
    stateDir,
    hosts,
    tools,
    facts: new FactsStore(stateDir),
    records: new Records(stateDir),
    pools: () => readPools(home),
  };
  const nodes = new Nodes(parts);
  const poolsOf = (context: CloudContext): readonly Pool[] => allowedPools(parts.pools(), context);
  return {
    name: "ssh",
    displayName: "SSH",
    wireInfra: (region) => (region === "" ? "ssh" : `ssh/${region}`),
    power: "leave",
    checksOverNetwork: true,
    maxNameLength: 40,
    check: (context) => checkPools(parts, context),
    identity: () => Promise.resolve(null),
    offers: async (request, context) =>
      offersOf(
        request,
        poolsOf(context).map((pool) => ({ name: pool.name, hosts: parts.facts.read(pool) })),
      ),
    run: (spec, _token, context) => nodes.run(spec, context),
    query: (cluster, context) => nodes.query(cluster, context),
    terminate: (cluster, context, only) => nodes.terminate(cluster, context, only),
    runner: (instance, cluster) => nodes.runner(instance, cluster),
    sshProxyCommands: (cluster) => Promise.resolve(nodes.proxyCommands(cluster)),
    infras: (context) =>
      poolsOf(context)
        .filter((pool) => parts.facts.read(pool).length > 0)
        .map((pool) => `ssh/${pool.name}`),
    machines: (context, region) => {
      const pools = poolsOf(context).filter(({ name }) => region === undefined || name === region);
      return askMachines(pools, parts, context.signal);
    },
    commands: createCommands(parts),
  };
}
