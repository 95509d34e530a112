import { join } from "node:path";
import type { AgentBundle } from "../../platform/agent-bundle.ts";
import type { HostFacts, HostLook, HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { AgentError } from "../../shared/errors.ts";
import type { ResolvedTarget } from "../../runners/ssh/resolve.ts";
import { quotePath } from "../../runners/ssh/remote-script.ts";
import { HostPrograms } from "../../runners/ssh/host-programs.ts";
import type { ProgramPlace } from "../../runners/ssh/host-program.ts";
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
  readonly #programs: HostPrograms;

  constructor(options: HostsOptions) {
    this.#options = options;
    this.#programs = new HostPrograms(options.tools);
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
    const { tools, bundle } = this.#options;
    const target = await this.target(poolName, host);
    const [{ base, result: look }, resolved] = await Promise.all([
      this.#programs.ask({ target, installDir: undefined, bundle: bundle() }, { verb: "look", params: {} }, signal),
      tools.connections.resolve(target),
    ]);
    requireBash(look.facts, host.host);
    return { host: host.host, entry: entryOf(host), base, address: addressOf(resolved), ...look };
  }

  /** Asks a host that is set up. Throws AgentError when it cannot be reached or refuses. */
  async ask<V extends HostVerb>(
    at: HostPlace,
    verb: V,
    request: { readonly params: HostVerbs[V]["params"]; readonly signal: AbortSignal },
  ): Promise<HostVerbs[V]["result"]> {
    const { params, signal } = request;
    return (await this.#programs.ask(await this.#placeOf(at), { verb, params }, signal)).result;
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
    const place = await this.#placeOf(at);
    this.#programs.drop(place);
    const { target } = place;
    const session = await this.#options.tools.connections.open(target, clearScript(at.base), { signal });
    session.child.stdin.end();
    session.child.stdout.resume();
    if ((await session.exited) !== 0)
      throw new AgentError(`${at.host.host} cannot be cleared: ${session.scriptErrors().trim()}`);
    await this.#options.tools.connections.close(target);
  }

  async #placeOf({ poolName, host, base }: HostPlace): Promise<ProgramPlace> {
    return {
      target: await this.target(poolName, host),
      installDir: `${base}/agent`,
      bundle: this.#options.bundle(),
    };
  }
}

/**
 * Ends programs of ours first: they may wait for the next question of whatever server, and nothing else of ours runs without a claim.
 * Removes nothing as long as something is mounted there: its files are those of a bucket, or of another disk.
 */
function clearScript(base: string): string {
  const folder = quotePath(base);
  return `D=$(cd ${folder}/agent 2>/dev/null && pwd -P) && for P in /proc/[0-9]*; do
  [ -O "$P" ] || continue
  case $(readlink "$P/exe" 2>/dev/null) in "$D"/*) kill -KILL "\${P#/proc/}" 2>/dev/null ;; esac
done
T=$(cd ${folder} 2>/dev/null && pwd -P)
mounts() {
  while read -r _ _ _ _ M _; do case $M in "$T"/*) printf '%b\\n' "$M" ;; esac; done </proc/self/mountinfo
}
if [ -n "$T" ]; then
  mounts | sort -r | while IFS= read -r M; do
    fusermount3 -u -z "$M" || fusermount -u -z "$M" || umount -l "$M"
  done 2>/dev/null
  M=$(mounts | head -n 1)
  [ -z "$M" ] || { echo "$M is still mounted. Take it away by hand: sudo umount -l $M" >&2; exit 1; }
fi
rm -rf ${folder}/agent ${folder}/nodes || exit 1
rmdir ${folder} 2>/dev/null
exit 0`;
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
