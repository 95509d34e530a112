import type { Duplex } from "node:stream";

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What makes a machine a node of a cluster. */
export interface AgentPlan {
  /** Absolute path of the agent's own directory on the node. */
  readonly root: string;
  /** Where programs and runtimes are kept by content hash, for all clusters, e.g. `/home/me/.sky/agent`. */
  readonly installDir: string;
  /** The agent's program on this machine, and 16 hex digits of its SHA-256. */
  readonly bundle: { readonly path: string; readonly hash: string };
  /** Content of `<root>/node.json`, which holds the cluster's secret. */
  readonly config: Uint8Array;
}

/** A way to act on one node. Adapters: local, ssh, ssm, kubernetes, slurm. */
export interface Runner {
  /** Runs a program to its end; a non-zero exit code is a result, not an error. Errors: unreachable node, time-out, abort. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /**
   * Places what the node lacks of the plan and starts its agent, which outlives us and ends by itself when another one runs in the
   * same root. Its output is appended to `<root>/agent.out`. One round trip and one for what is lacking; content that is
   * there already (by hash) is not sent again.
   */
  startAgent(plan: AgentPlan, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Opens a byte stream to the agent whose root directory is `root`. Rejects with AgentNotRunningError when the node can
   * be reached and no agent listens there, with `waitMs` only when none does by then.
   */
  connectAgent(root: string, options?: { readonly waitMs?: number; readonly signal?: AbortSignal }): Promise<Duplex>;
  close(): Promise<void>;
}

/** Output of a node's agent, in its root. */
export const AGENT_OUTPUT = "agent.out";
