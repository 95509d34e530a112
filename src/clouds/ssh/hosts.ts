import { join } from "node:path";
import type { AgentBundle } from "../../platform/agent-bundle.ts";
import type { HostFacts, HostLook, HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { AgentError } from "../../shared/errors.ts";
import type { ResolvedTarget } from "../../runners/ssh/resolve.ts";
import { quotePath } from "../../runners/ssh/remote-script.ts";
import { installOn } from "../../runners/ssh/install.ts";
import type { SshTools } from "../../runners/ssh/tools.ts";
import type { SshTarget } from "../../runners/ssh/target.ts";
import { entryOf, type HostAddress, type KnownHost } from "./facts-store.ts";
import type { PoolHost } from "./pools.ts";

export interface HostsOptions {
  readonly tools: SshTools;
  readonly bundle: () => AgentBundle;
  /** HOME of the server's user, whose SSH configuration counts. */
  readonly home: string;
  /** `~/.sky/ts/ssh`. */
  readonly stateDir: string;
}

/** A host that is set up: how it is reached, and where our things are on it. */
export interface HostPlace {
  readonly poolName: string;
  readonly host: PoolHost;
  readonly base: string;
}

/** Talks to the machines of pools. */
export class Hosts {
  readonly #options: HostsOptions;

  constructor(options: HostsOptions) {
    this.#options = options;
  }

  /** How OpenSSH reaches the host. */
  async target(poolName: string, host: PoolHost): Promise<SshTarget> {
    const { home, stateDir, tools } = this.#options;
    const { user, identityFile, password, hasDefaults } = host;
    const base: SshTarget = {
      host: host.host,
      configFiles: [join(home, ".ssh", "config"), "/etc/ssh/ssh_config"],
      knownHosts: [join(stateDir, "known_hosts", poolName), join(home, ".ssh", "known_hosts")],
      ...(password === undefined ? {} : { password }),
    };
    // The user's own `Host` says more about a machine than the defaults of a pool.
    if (hasDefaults && (user ?? identityFile) !== undefined && (await tools.connections.resolve(base)).isNamed)
      return base;
    return {
      ...base,
      ...(user === undefined ? {} : { user }),
      ...(identityFile === undefined ? {} : { identityFiles: [identityFile] }),
    };
  }

  /** Prepares a host that nothing is known of, and finds out what it has. */
  async prepare(poolName: string, host: PoolHost, signal: AbortSignal): Promise<KnownHost & HostLook> {
    const target = await this.target(poolName, host);
    const [[base = "", answer = ""], resolved] = await Promise.all([
      this.#install(target, { base: undefined, verb: "look", params: {} }, signal),
      this.#options.tools.connections.resolve(target),
    ]);
    const look = JSON.parse(answer) as HostLook;
    requireBash(look.facts, host.host);
    return { host: host.host, entry: entryOf(host), base, address: addressOf(resolved), ...look };
  }

  /** Asks a host that is set up. Throws AgentError when it cannot be reached or refuses. */
  async ask<V extends HostVerb>(
    at: HostPlace,
    verb: V,
    request: { readonly params: HostVerbs[V]["params"]; readonly signal: AbortSignal },
  ): Promise<HostVerbs[V]["result"]> {
    const target = await this.target(at.poolName, at.host);
    const call = { base: at.base, verb, params: request.params };
    const [, answer = ""] = await this.#install(target, call, request.signal);
    return JSON.parse(answer) as HostVerbs[V]["result"];
  }

  /** Whether the host answers to SSH: resolves, or throws AgentError that says why not. */
  async greet(poolName: string, host: PoolHost, signal: AbortSignal): Promise<void> {
    const target = await this.target(poolName, host);
    const session = await this.#options.tools.connections.open(target, "exit 0", { signal });
    session.child.stdin.end();
    session.child.stdout.resume();
    await session.exited;
  }

  /** Removes everything of ours from a host. */
  async clear(at: HostPlace, signal: AbortSignal): Promise<void> {
    const target = await this.target(at.poolName, at.host);
    const session = await this.#options.tools.connections.open(target, clearScript(at.base), { signal });
    session.child.stdin.end();
    session.child.stdout.resume();
    if ((await session.exited) !== 0)
      throw new AgentError(`${at.host.host} cannot be cleared: ${session.scriptErrors().trim()}`);
    await this.#options.tools.connections.close(target);
  }

  #install(
    target: SshTarget,
    call: {
      /** Undefined: chosen by what the host has. */
      readonly base: string | undefined;
      readonly verb: HostVerb;
      readonly params: object;
    },
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const request = {
      installDir: call.base === undefined ? undefined : `${call.base}/agent`,
      bundle: this.#options.bundle(),
      mayFetch: true,
      files: [{ name: "input", bytes: Buffer.from(JSON.stringify(call.params)) }],
      script: verbScript(call.verb),
    };
    return installOn(target, request, this.#options.tools, { signal });
  }
}

/** Prints the base, which may have been chosen on the host, and the answer. */
function verbScript(verb: HostVerb): string {
  return String.raw`
D=$(dirname "$I")
P=$("$N" "$A" host ${verb} --base "$D" <"$T/input" 2>"$T/err") || fail "$(tail -n 2 "$T/err")"
say "$D"
say "$P"
say ok
`;
}

/** Programs of ours that still run keep their files until they end. */
function clearScript(base: string): string {
  const folder = quotePath(base);
  return `rm -rf ${folder}/agent ${folder}/nodes || exit 1\nrmdir ${folder} 2>/dev/null\nexit 0`;
}

function requireBash(facts: HostFacts, host: string): void {
  if (facts.hasBash) return;
  throw new AgentError(`${host} has no /bin/bash, which runs the tasks.`, { hint: "Install bash there." });
}

/** What a user of the cluster needs to log in; the way through another host is spelled out. */
function addressOf(resolved: ResolvedTarget): HostAddress {
  const { hostName, port, user, proxyJump, proxyCommand } = resolved;
  return {
    hostName,
    port,
    user,
    proxyCommand: proxyJump === undefined ? (proxyCommand ?? null) : jumpCommand(proxyJump),
  };
}

/** `a,b` → through a, then b. */
function jumpCommand(proxyJump: string): string {
  const hops = proxyJump.split(",");
  const last = hops.pop() ?? "";
  const before = hops.length === 0 ? "" : `-J ${hops.join(",")} `;
  // As with the nodes themselves, whose keys nobody has been asked about either.
  return `ssh -o StrictHostKeyChecking=accept-new ${before}-W [%h]:%p ${last}`;
}
