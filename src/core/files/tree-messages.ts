import type { SyncEntry } from "../../shared/agent/protocol.ts";
import type { WantedFile } from "./pack-files.ts";

/** What a thread that reads a tree is started with. */
export interface TreeJob {
  readonly root: string;
  readonly ignoreFilesFrom: string | undefined;
  /** Entries of one round. */
  readonly roundEntries: number;
}

/** To the thread. */
export type TreeRequest =
  | { readonly kind: "round" }
  | { readonly kind: "pack"; readonly wanted: readonly WantedFile[] }
  /** A block has been sent on. */
  | { readonly kind: "taken" };

/** From the thread. */
export type TreeAnswer =
  | { readonly kind: "round"; readonly entries: readonly SyncEntry[]; readonly skipped: readonly string[] }
  /** There are no more rounds, or no more blocks. */
  | { readonly kind: "done" }
  | { readonly kind: "block"; readonly block: Uint8Array }
  | { readonly kind: "failed"; readonly failure: TreeFailure };

/** An error on its way between threads, which would otherwise lose its class. */
export interface TreeFailure {
  readonly code: string | undefined;
  readonly message: string;
  readonly hint: string | undefined;
}

/** Blocks that wait in memory between the thread and the connection. */
export const BLOCKS_AHEAD = 4;
