import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import type { HostFacts } from "../../shared/agent/host.ts";
import type { Pool, PoolHost } from "./pools.ts";

/** How a host is reached by somebody who knows neither the pool nor the SSH configuration. */
export interface HostAddress {
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  /** Null = directly. */
  readonly proxyCommand: string | null;
}

/** What `sky ssh up` found out about a host. */
export interface KnownHost {
  readonly host: string;
  /** Changes with the host's entry in the pool: what was found out then no longer counts. */
  readonly entry: string;
  /** Folder for everything of ours on the host, e.g. `/home/me/.sky`. */
  readonly base: string;
  readonly facts: HostFacts;
  readonly address: HostAddress;
}

interface PoolFile {
  readonly hosts: readonly KnownHost[];
}

/** Facts about the hosts of pools, one file per pool. */
export class FactsStore {
  readonly #directory: string;

  constructor(stateDir: string) {
    this.#directory = join(stateDir, "pools");
  }

  /** Hosts of the pool that are set up, in the pool's order. */
  read(pool: Pool): readonly KnownHost[] {
    const known = this.#load(pool.name);
    return pool.hosts.flatMap(
      (host) => known.find((one) => one.host === host.host && one.entry === entryOf(host)) ?? [],
    );
  }

  write(pool: Pool, hosts: readonly KnownHost[]): void {
    const text = `${JSON.stringify({ hosts } satisfies PoolFile, null, 2)}\n`;
    writeFileAtomic(this.#path(pool.name), text, { mode: 0o600, directoryMode: 0o700 });
  }

  remove(poolName: string): void {
    rmSync(this.#path(poolName), { force: true });
  }

  /** Pools of which something is known, also those that are not in the user's file any more. */
  names(): readonly string[] {
    try {
      return readdirSync(this.#directory)
        .filter((name) => name.endsWith(".json"))
        .map((name) => name.slice(0, -".json".length));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #path(poolName: string): string {
    return join(this.#directory, `${poolName}.json`);
  }

  #load(poolName: string): readonly KnownHost[] {
    try {
      return (JSON.parse(readFileSync(this.#path(poolName), "utf8")) as PoolFile).hosts;
    } catch (error) {
      // It can be found out again: a damaged file is as good as none.
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }
}

/** Identifies how a host is reached; no password can be guessed from it. */
export function entryOf(host: PoolHost): string {
  const { user, identityFile, hasDefaults } = host;
  return createHash("sha256")
    .update(JSON.stringify([user, identityFile, hasDefaults]))
    .digest("hex")
    .slice(0, 16);
}
