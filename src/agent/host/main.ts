import { mkdirSync } from "node:fs";
import type { HostAnswer, HostFacts, HostRequest, HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { SkyError } from "../../shared/errors.ts";
import { claim } from "./claim.ts";
import { readClaims } from "./claim-store.ts";
import { readFacts } from "./facts.ts";
import { hostPaths, type HostPaths } from "./host-paths.ts";
import { release } from "./release.ts";
import { prepareStart } from "./start.ts";

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
  start: (params, { paths }) => {
    prepareStart(params, paths);
    return Promise.resolve({});
  },
};

/** What the program knows of itself: where our things are, and the environment of its login. */
export interface HostSelf {
  readonly base: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Does what one request says. What goes wrong is an answer too. */
export async function answerHost({ verb, params }: HostRequest, { base, env }: HostSelf): Promise<HostAnswer> {
  try {
    if (!Object.hasOwn(handlers, verb)) return { error: `This release knows no '${verb}'.` };
    const paths = hostPaths(base);
    mkdirSync(paths.nodes, { recursive: true, mode: 0o700 });
    const handler = handlers[verb] as (params: unknown, machine: Machine) => Promise<unknown>;
    return { result: await handler(params, { paths, readFacts: () => readFacts(base, env) }) };
  } catch (error) {
    return { error: describe(error as Error) };
  }
}

function describe(error: Error): string {
  if (!(error instanceof SkyError)) return error.message;
  return error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
}
