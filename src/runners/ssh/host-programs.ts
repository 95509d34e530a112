import type { HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { AgentError } from "../../shared/errors.ts";
import { HostLostError, HostProgram, type ProgramPlace } from "./host-program.ts";
import { installOn, type InstallTools } from "./install.ts";
import { targetId } from "./target.ts";

/**
 * How long a program waits for the next request, in milliseconds. A launch asks each host several things, also after all others have
 * answered, and starting the program anew for each of them is most of what they cost.
 */
const KEEP_MS = 20_000;

export interface HostReply<V extends HostVerb> {
  /** Where our things are on the host. */
  readonly base: string;
  readonly result: HostVerbs[V]["result"];
}

interface Idle {
  readonly program: HostProgram;
  readonly timer: NodeJS.Timeout;
}

/** Asks hosts by our program there, which is installed when it is lacking, and is kept for the next request for a moment. */
export class HostPrograms {
  readonly #tools: InstallTools;
  readonly #idle = new Map<string, Idle>();

  constructor(tools: InstallTools) {
    this.#tools = tools;
  }

  /** Throws AgentError when the host cannot be reached or refuses. */
  async ask<V extends HostVerb>(
    place: ProgramPlace,
    request: { readonly verb: V; readonly params: HostVerbs[V]["params"] },
    signal: AbortSignal,
  ): Promise<HostReply<V>> {
    const kept = this.#take(keyOf(place));
    if (kept !== undefined) {
      try {
        return await this.#askBy(kept, place, { ...request, signal });
      } catch (error) {
        // It went away while nobody asked it anything; every request may be repeated.
        if (!(error instanceof HostLostError)) throw error;
      }
    }
    return this.#askBy(await this.#open(place, signal), place, { ...request, signal });
  }

  /** Ends what is kept for the place. */
  drop(place: ProgramPlace): void {
    this.#take(keyOf(place))?.close();
  }

  async #askBy<V extends HostVerb>(
    program: HostProgram,
    place: ProgramPlace,
    request: { readonly verb: V; readonly params: HostVerbs[V]["params"]; readonly signal: AbortSignal },
  ): Promise<HostReply<V>> {
    const { verb, params, signal } = request;
    try {
      const result = await program.ask(verb, params, signal);
      // It is an agent from then on.
      if (verb === "start") program.close();
      return { base: program.base, result };
    } finally {
      this.#keep({ ...place, installDir: `${program.base}/agent` }, program);
    }
  }

  async #open(place: ProgramPlace, signal: AbortSignal): Promise<HostProgram> {
    const { connections } = this.#tools;
    const there = await HostProgram.open(place, connections, signal);
    if (there !== undefined) return there;
    const { target, installDir, bundle } = place;
    const request = { installDir, bundle, mayFetch: true, files: [], script: `say "$I"\nsay ok` };
    const [installed = ""] = await installOn(target, request, this.#tools, { signal });
    const program = await HostProgram.open({ target, bundle, installDir: installed }, connections, signal);
    if (program !== undefined) return program;
    throw new AgentError(`What was put on ${target.host} is gone again: ${installed}.`);
  }

  #take(key: string): HostProgram | undefined {
    const idle = this.#idle.get(key);
    if (idle === undefined) return undefined;
    this.#idle.delete(key);
    clearTimeout(idle.timer);
    return idle.program.isOpen ? idle.program : undefined;
  }

  #keep(place: ProgramPlace, program: HostProgram): void {
    const key = keyOf(place);
    if (!program.isOpen || this.#idle.has(key)) {
      program.close();
      return;
    }
    const timer = setTimeout(() => this.#take(key)?.close(), KEEP_MS).unref();
    this.#idle.set(key, { program, timer });
  }
}

function keyOf({ target, installDir, bundle }: ProgramPlace): string {
  return `${targetId(target)} ${installDir ?? ""} ${bundle.hash}`;
}
