import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { withFileLock } from "../../runners/local/lock.ts";
import type { NodeResources } from "../../shared/agent/protocol.ts";

/** A node as its provider knows it. */
export interface FakeNode {
  readonly id: string;
  /** Tags, set when the node is made. */
  readonly nameOnCloud: string;
  readonly index: number;
  readonly region: string;
  readonly zone: string;
  readonly type: string;
  readonly family: string;
  readonly useSpot: boolean;
  readonly resources: NodeResources;
  readonly ip: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly state: "running" | "stopped" | "terminated";
  /** The cloud took it away: it is shown as terminated until somebody terminates it. */
  readonly isTaken: boolean;
}

/** What a zone remembers of a client token. */
export interface TokenRecord {
  readonly parameters: string;
  readonly ids: readonly string[];
}

export interface FakeState {
  /** Nodes that exist, and those that were taken away. */
  readonly nodes: readonly FakeNode[];
  /** By zone and token. */
  readonly tokens: Readonly<Record<string, TokenRecord>>;
  readonly created: number;
  /** Calls that have changed something, for answers that get lost. */
  readonly changes: number;
  /** When the last calls came, in milliseconds. */
  readonly recentCalls: readonly number[];
}

export const EMPTY_STATE: FakeState = { nodes: [], tokens: {}, created: 0, changes: 0, recentCalls: [] };

/** One line of the bill: everything that was ever made, and how it ended. */
export interface LedgerEntry {
  readonly at: number;
  readonly what: "created" | "started" | "stopped" | "terminated" | "taken";
  readonly id: string;
  readonly nameOnCloud: string;
  readonly index: number;
  readonly zone: string;
}

export interface Change<T> {
  readonly state: FakeState;
  readonly ledger: readonly LedgerEntry[];
  readonly result: T;
}

/** Keeps the state of the fake cloud; one change at a time. */
export interface StateStore {
  read(): FakeState;
  /** Applies `work` to the newest state. What it throws is thrown, and nothing changes. */
  change<T>(work: (state: FakeState) => Change<T>, signal: AbortSignal): Promise<T>;
}

/** For tests: everything in memory, and the ledger at hand. */
export class MemoryStore implements StateStore {
  #state = EMPTY_STATE;
  readonly ledger: LedgerEntry[] = [];

  read(): FakeState {
    return this.#state;
  }

  change<T>(work: (state: FakeState) => Change<T>): Promise<T> {
    const { state, ledger, result } = work(this.#state);
    this.#state = state;
    this.ledger.push(...ledger);
    return Promise.resolve(result);
  }
}

/** In `<directory>/state.json`, shared by every process of the user; the ledger is in `ledger.jsonl` beside it. */
export function createFileStore(directory: string): StateStore {
  const file = join(directory, "state.json");
  const read = (): FakeState => {
    try {
      return JSON.parse(readFileSync(file, "utf8")) as FakeState;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return EMPTY_STATE;
      throw error;
    }
  };
  return {
    read,
    change: (work, signal) =>
      withFileLock(join(directory, "state.lock"), signal, () => {
        const { state, ledger, result } = work(read());
        writeFileAtomic(file, `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600, directoryMode: 0o700 });
        const lines = ledger.map((entry) => `${JSON.stringify(entry)}\n`).join("");
        if (lines !== "") appendFileSync(join(directory, "ledger.jsonl"), lines, { mode: 0o600 });
        return result;
      }),
  };
}
