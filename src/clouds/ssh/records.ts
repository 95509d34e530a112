import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import type { KnownHost } from "./facts-store.ts";

/** One node of a cluster: where it is, whatever becomes of the pool's entry. */
export interface NodeRecord {
  readonly index: number;
  readonly known: Omit<KnownHost, "entry">;
  /** What the host gave; absent until it has. */
  readonly given?: {
    readonly home: string;
    readonly agentRoot: string;
    readonly gpus: readonly number[];
  };
}

/** Which hosts a cluster has, written before the first of them is asked, so that nothing is forgotten. */
export interface ClusterRecord {
  readonly pool: string;
  readonly perNode: NodeResources;
  readonly nodes: readonly NodeRecord[];
}

export class Records {
  readonly #directory: string;

  constructor(stateDir: string) {
    this.#directory = join(stateDir, "clusters");
  }

  read(nameOnCloud: string): ClusterRecord | undefined {
    try {
      return JSON.parse(readFileSync(this.#path(nameOnCloud), "utf8")) as ClusterRecord;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  write(nameOnCloud: string, record: ClusterRecord): void {
    const text = `${JSON.stringify(record, null, 2)}\n`;
    writeFileAtomic(this.#path(nameOnCloud), text, { mode: 0o600, directoryMode: 0o700 });
  }

  remove(nameOnCloud: string): void {
    rmSync(this.#path(nameOnCloud), { force: true });
  }

  #path(nameOnCloud: string): string {
    return join(this.#directory, `${nameOnCloud}.json`);
  }
}
