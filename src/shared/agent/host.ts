import type { NodeResources } from "./protocol.ts";

/**
 * What the API server asks of a machine that clusters share. `agent.cjs serve --base DIR` says `HostGreeting` and then answers each line,
 * a `HostRequest`, with one, a `HostAnswer`; DIR is where we keep things on the machine, e.g. `/home/me/.sky`. It needs no running agent;
 * a lock on the machine keeps two servers of the same user from giving the same thing twice. Each request may be repeated.
 */
export interface HostVerbs {
  /** What the machine has, and who holds what. */
  readonly look: { readonly params: Record<string, never>; readonly result: HostLook };
  /** Sets resources aside for one node of a cluster; the same again for a cluster that has them. */
  readonly claim: { readonly params: ClaimParams; readonly result: ClaimResult };
  /** Ends and removes everything of a node. Nothing there is fine. */
  readonly release: {
    readonly params: { readonly nameOnCloud: string };
    readonly result: Record<string, never>;
  };
  /** The program itself becomes the agent of a node, and leaves the connection. It ends when another agent runs there. */
  readonly start: { readonly params: StartParams; readonly result: Record<string, never> };
}

export interface StartParams {
  /** The agent's own directory, as the claim says. */
  readonly root: string;
  /** Content of its `node.json`. */
  readonly config: string;
}

export interface HostGreeting {
  readonly base: string;
}

export interface HostRequest {
  readonly verb: HostVerb;
  readonly params: unknown;
}

export type HostAnswer = { readonly result: unknown } | { readonly error: string };

export interface HostFacts {
  readonly hostname: string;
  readonly user: string;
  readonly home: string;
  /** `Debian GNU/Linux 12 (bookworm)`. */
  readonly os: string;
  /** `x64` or `arm64`. */
  readonly arch: string;
  readonly cpus: number;
  readonly memoryGib: number;
  /** Canonical names by device index. */
  readonly gpus: readonly string[];
  readonly diskGib: number;
  readonly diskFreeGib: number;
  /** Addresses of its own, the one of the default route first; none of loopback. */
  readonly addresses: readonly string[];
  /** Port of its own at which the login that asked came in; behind a NAT not the one that was called. */
  readonly sshPort?: number;
  readonly bootId: string;
  /** Tasks are run by it. */
  readonly hasBash: boolean;
}

export interface HostLook {
  readonly facts: HostFacts;
  readonly claims: readonly HostClaim[];
}

/** What one cluster holds of the machine. */
export interface HostClaim {
  readonly clusterName: string;
  readonly nameOnCloud: string;
  readonly index: number;
  /** Whom to ask about it. */
  readonly owner: string;
  /** What is set aside; what is not named is shared. */
  readonly reserved: NodeResources;
  readonly perNode: NodeResources;
  /** Device indices that only this cluster uses. */
  readonly gpus: readonly number[];
  /** HOME of its tasks. */
  readonly home: string;
  readonly agentRoot: string;
  /** How the node ended by itself, if it did. */
  readonly ended?: "stopped" | "down";
}

export interface ClaimParams {
  readonly clusterName: string;
  readonly nameOnCloud: string;
  readonly index: number;
  readonly owner: string;
  readonly reserved: NodeResources;
  readonly perNode: NodeResources;
  /** Lines for the login's authorized_keys; they go with the claim. */
  readonly authorizedKeys: readonly string[];
}

/** What is missing of one kind, and who holds it. */
export interface Shortage {
  /** `CPUs`, `GiB of memory`, or an accelerator's name. */
  readonly what: string;
  readonly total: number;
  readonly free: number;
  readonly wanted: number;
  readonly holders: readonly { readonly clusterName: string; readonly amount: number }[];
}

export type ClaimResult =
  | {
      readonly ok: true;
      readonly claim: HostClaim;
      /** The cluster had nothing there before, so that no agent of it runs. */
      readonly isNew: boolean;
    }
  | { readonly ok: false; readonly shortages: readonly Shortage[] };

export type HostVerb = keyof HostVerbs;
