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

/** A file to put on a node: from a local path, or from bytes. Written to a temporary name and renamed. */
export interface UploadFile {
  /** Absolute path on the node. */
  readonly dest: string;
  readonly mode: number;
  readonly source: { readonly path: string } | { readonly bytes: Uint8Array };
}

/** A way to act on one node. Adapters: local, ssh, ssm, kubernetes, slurm. */
export interface Runner {
  /** Runs a program to its end; a non-zero exit code is a result, not an error. Errors: unreachable node, time-out, abort. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program that outlives us (own session, no open pipes), with its output appended to `logFile` on the node. */
  startDetached(
    argv: readonly string[],
    options: { readonly env?: Readonly<Record<string, string>>; readonly logFile: string },
  ): Promise<void>;
  /** Places files in one round trip; content that is already there (by hash or size+mtime) is not sent again. */
  upload(files: readonly UploadFile[], options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Opens a byte stream to the agent whose root directory is `root`. Rejects when no agent listens there, with `waitMs` only when
   * none does by then.
   */
  connectAgent(root: string, options?: { readonly waitMs?: number; readonly signal?: AbortSignal }): Promise<Duplex>;
  /** Command with which Node runs on this node (argv prefix), e.g. `["/home/me/.sky/agent/node-24.21.0/bin/node"]`. */
  nodeCommand(): Promise<readonly string[]>;
  close(): Promise<void>;
}
