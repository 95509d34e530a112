import type { RequestRow } from "../../db/queries/requests.ts";
import type { FinishedEntry } from "./finished-cache.ts";
import type { PendingInsert } from "./insert-batch.ts";
import type { AnyOperation, RequestInput } from "./types.ts";

/** A request that this server works on at this moment. */
export interface LiveRequest {
  /** The row as last written; only this server changes it while it holds the lease. */
  row: RequestRow;
  readonly operation: AnyOperation;
  readonly input: RequestInput;
  readonly controller: AbortController;
  /** The row on its way to the table, when the request began before it was there. */
  readonly insertion?: PendingInsert | undefined;
  /** Resolves when the outcome is stored, or at least kept in memory; undefined when another server took the request over. */
  done: Promise<FinishedEntry | undefined>;
}
