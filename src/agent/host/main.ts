import { mkdirSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { HostFacts, HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { claim } from "./claim.ts";
import { readClaims } from "./claim-store.ts";
import { readFacts } from "./facts.ts";
import { hostPaths, type HostPaths } from "./host-paths.ts";
import { release } from "./release.ts";

interface Machine {
  readonly paths: HostPaths;
  readonly readFacts: () => Promise<HostFacts>;
}

type Handlers = {
  readonly [V in HostVerb]: (params: HostVerbs[V]["params"], machine: Machine) => Promise<HostVerbs[V]["result"]>;
};

const handlers: Handlers = {
  look: async (_params, machine) => ({ facts: await machine.readFacts(), claims: readClaims(machine.paths) }),
  claim: async (params, machine) => claim(params, machine.paths, await machine.readFacts()),
  release: async ({ nameOnCloud }, { paths }) => {
    await release(nameOnCloud, paths);
    return {};
  },
};

/** Runs one verb of `agent.cjs host`: parameters on stdin, the answer on stdout. */
export async function runHostVerb(
  verb: string,
  base: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if (!Object.hasOwn(handlers, verb)) return 2;
  const params = JSON.parse(await text(process.stdin)) as unknown;
  const paths = hostPaths(base);
  mkdirSync(paths.nodes, { recursive: true, mode: 0o700 });
  const handler = handlers[verb as HostVerb] as (params: unknown, machine: Machine) => Promise<unknown>;
  const machine = { paths, readFacts: () => readFacts(base, env) };
  process.stdout.write(`${JSON.stringify(await handler(params, machine))}\n`);
  return 0;
}
