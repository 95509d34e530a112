import type { SyncEntry } from "../../shared/agent/protocol.ts";
import type { WantedFile } from "./pack-files.ts";

/** Entries of one manifest: some 10 MB of JSON. Larger trees go in several rounds. */
export const ENTRIES_PER_ROUND = 50_000;

/** A tree on this machine, as a sync needs it: what is in it, then contents. */
export interface TreeSource {
  /** The manifest, in rounds; at least one, which may be empty. */
  rounds(): AsyncIterable<readonly SyncEntry[]>;
  /** Contents of files of the last round as encoded blocks. */
  blocks(wanted: readonly WantedFile[]): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface TreeOptions {
  /** As in `walkTree`. */
  readonly ignoreFilesFrom: string | undefined;
  /** Told of what is neither file, directory nor link, and therefore left out. */
  readonly onSkipped?: (path: string) => void;
}
