import { mkdirSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { claim } from "./claim.ts";
import { readClaims } from "./claim-store.ts";
import { readFacts } from "./facts.ts";
import { hostPaths, type HostPaths } from "./host-paths.ts";
import { release } from "./release.ts";

type Handlers = {
  readonly [V in HostVerb]: (params: HostVerbs[V]["params"], paths: HostPaths) => Promise<HostVerbs[V]["result"]>;
};

const handlers: Handlers = {
  look: async (_params, paths) => ({ facts: await readFacts(paths.base), claims: readClaims(paths) }),
  claim: async (params, paths) => claim(params, paths, await readFacts(paths.base)),
  release: async ({ nameOnCloud }, paths) => {
    await release(nameOnCloud, paths);
    return {};
  },
};

/** Runs one verb of `agent.cjs host`: parameters on stdin, the answer on stdout. */
export async function runHostVerb(verb: string, base: string): Promise<number> {
  if (!Object.hasOwn(handlers, verb)) return 2;
  const params = JSON.parse(await text(process.stdin)) as unknown;
  const paths = hostPaths(base);
  mkdirSync(paths.nodes, { recursive: true, mode: 0o700 });
  const handler = handlers[verb as HostVerb] as (params: unknown, paths: HostPaths) => Promise<unknown>;
  process.stdout.write(`${JSON.stringify(await handler(params, paths))}\n`);
  return 0;
}
