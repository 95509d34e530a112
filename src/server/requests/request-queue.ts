import {
  claimRequest,
  dropForeignLeases,
  extendLeases,
  findClaimable,
  findRequest,
  insertRequest,
  isTerminal,
  listActiveOnCluster,
  markCancelled,
  releaseRequest,
  type NewRequest,
  type RequestOutcome,
  type RequestRow,
  type ScheduleType,
} from "../../db/queries/requests.ts";
import { PermissionDeniedError, RequestCancelledError, RequestInterruptedError } from "../../shared/errors.ts";
import { toDisplayBody } from "./display-body.ts";
import { FinishedCache, type FinishedEntry } from "./finished-cache.ts";
import { InsertBatch, type PendingInsert } from "./insert-batch.ts";
import type { LiveRequest } from "./live-request.ts";
import { orAborted } from "../../shared/or-aborted.ts";
import { dataDirectoryOf } from "../server-identity.ts";
import { cancelled, failed, interruptedByRestart, LeaseLostError } from "./outcome.ts";
import { toFinishedEntry } from "./payload.ts";
import { ResultStore } from "./result-store.ts";
import { runInfo, runRequest, storeOutcome, type RunDependencies } from "./run-request.ts";
import type { QueueOptions, RequestInput, RunInfo, Submission } from "./types.ts";

const FINISHED_CACHE_BYTES = 24 * 1024 * 1024;
/** On Postgres a lease that was not extended for this long belongs to a dead replica. */
const LEASE_MS = 30_000;
const HEARTBEAT_MS = 3000;
/** How often a request that another replica runs is looked at. */
const REMOTE_POLL_MS = 300;
const CANCEL_WAIT_MS = 30_000;

/**
 * The durable queue: every request is a row; up to a limit per schedule they run here. With SQLite this server is alone (the
 * data directory is locked), so leases do not expire and nothing polls; with Postgres replicas share the rows by lease.
 */
export class RequestQueue {
  readonly #options: RunDependencies;
  readonly #live = new Map<string, LiveRequest>();
  readonly #finished = new FinishedCache(FINISHED_CACHE_BYTES);
  readonly #inserts: InsertBatch;
  readonly #reserved = { long: 0, short: 0 };
  /** Whether rows may wait for a slot. */
  readonly #hasBacklog = { long: true, short: true };
  readonly #isPumping = { long: false, short: false };
  /** Ids that were cancelled between their insertion and their start. */
  readonly #cancelledEarly = new Set<string>();
  readonly #closing = new AbortController();

  constructor(options: QueueOptions) {
    this.#inserts = new InsertBatch(options.database.db);
    this.#options = {
      ...options,
      finished: this.#finished,
      results: new ResultStore({ db: options.database.db, clock: options.clock, sealer: options.sealer }),
      cancelOthers: (clusterName, requestId) => this.#cancelOthers(clusterName, requestId),
      onWaitingChange: () => this.#pumpAll(),
    };
  }

  get #isShared(): boolean {
    return this.#options.database.kind === "postgres";
  }

  /** Takes up what an earlier server left, and begins to serve. */
  async start(): Promise<void> {
    const { database, owner } = this.#options;
    await dropForeignLeases(database.db, owner, this.#isShared ? { home: dataDirectoryOf(owner) } : {});
    await Promise.all([this.#pump("long"), this.#pump("short")]);
    if (this.#isShared) this.#background(this.#keepLeases());
  }

  /**
   * Stores a request and returns its id; it runs as soon as a slot is free. With an id that is known already nothing happens.
   * Throws RequestInterruptedError while the server stops, PermissionDeniedError when the id is another user's.
   */
  async submit(submission: Submission): Promise<void> {
    this.#assertOpen();
    const { schedule, operation } = submission;
    const runsNow = !this.#hasBacklog[schedule] && this.#freeSlots(schedule) > 0;
    // Only what may have to run again is worth a sealed body and a disk sync.
    const isKept = operation.isResumable || !runsNow;
    const row = this.#newRow(submission, { runsNow, isKept });
    if (!isKept && operation.isReadOnly === true && schedule === "short" && !submission.isRepeatable) {
      const insertion = this.#inserts.add(row);
      this.#launch(fullRow(row), submission, insertion);
      return insertion.stored;
    }
    if (runsNow) this.#reserved[schedule] += 1;
    try {
      if (!(await this.#insert(row, { isDurable: isKept }))) return await this.#checkRepeated(submission);
      if (runsNow) this.#launch(fullRow(row), submission);
      if (this.#cancelledEarly.delete(row.request_id)) this.#abort(row.request_id);
    } finally {
      if (runsNow) this.#reserved[schedule] -= 1;
    }
    if (!runsNow) {
      this.#hasBacklog[schedule] = true;
      this.#background(this.#pump(schedule));
    }
  }

  /**
   * Runs a request outside of the slots, driven by the caller (log streams). The returned `end` stores the outcome.
   */
  async open(
    submission: Submission,
    options: { readonly log: RunInfo["log"] },
  ): Promise<{ readonly run: RunInfo; readonly abort: AbortController; end(outcome: RequestOutcome): Promise<void> }> {
    this.#assertOpen();
    const row = fullRow(this.#newRow(submission, { runsNow: true, isKept: false }));
    await this.#insert(row, { isDurable: false });
    const ended = Promise.withResolvers<FinishedEntry | undefined>();
    const live: LiveRequest = {
      row,
      operation: submission.operation,
      input: submission,
      controller: new AbortController(),
      done: ended.promise,
    };
    this.#live.set(row.request_id, live);
    return {
      run: runInfo(live, this.#options, { log: options.log }),
      abort: live.controller,
      end: async (outcome) => {
        if (this.#live.get(row.request_id) !== live) return;
        const entry = await storeOutcome(live, outcome, this.#options);
        this.#live.delete(row.request_id);
        ended.resolve(entry);
      },
    };
  }

  /** The request while this server works on it. */
  findLive(requestId: string): RequestRow | undefined {
    return this.#live.get(requestId)?.row;
  }

  /** Whether the request goes on after a restart of the server. */
  isResumable(operationName: string): boolean {
    return this.#options.operations[operationName]?.isResumable ?? false;
  }

  findFinished(requestId: string): FinishedEntry | undefined {
    return this.#finished.get(requestId);
  }

  /** Resolves when the request has ended. Undefined when there is no such request. Rejects with the signal's reason. */
  async wait(requestId: string, options: { readonly signal: AbortSignal }): Promise<FinishedEntry | undefined> {
    const finished = this.#finished.get(requestId);
    if (finished !== undefined) return finished;
    const { signal } = options;
    const { entry } = await this.#options.events.until(requestId, () => this.#findEnd(requestId, signal), {
      signal,
      ...(this.#isShared ? { timeoutMs: REMOTE_POLL_MS } : {}),
    });
    return entry;
  }

  /** How a request has ended, without an entry when there is none of that id; undefined = it has not ended. */
  async #findEnd(
    requestId: string,
    signal: AbortSignal,
  ): Promise<{ readonly entry: FinishedEntry | undefined } | undefined> {
    const finished = this.#finished.get(requestId);
    if (finished !== undefined) return { entry: finished };
    const live = this.#live.get(requestId);
    if (live !== undefined) {
      const entry = await orAborted(live.done, signal);
      if (entry !== undefined) return { entry };
    }
    const row = await findRequest(this.#options.database.db, requestId);
    if (row === undefined) return { entry: undefined };
    if (!isTerminal(row.status)) return undefined;
    const entry = toFinishedEntry(row, await this.#options.results.load(row.request_id, row));
    this.#finished.set(requestId, entry);
    return { entry };
  }

  /** Cancels requests and resolves with the ids of those that were active, once they have ended (or after 30 s). */
  async cancel(requestIds: readonly string[]): Promise<string[]> {
    const { database, clock, owner } = this.#options;
    const ids = await markCancelled(database.db, requestIds);
    for (const id of ids) {
      if (this.#abort(id)) continue;
      const row = await findRequest(database.db, id);
      if (row?.lease_owner === owner && !this.#abort(id)) this.#cancelledEarly.add(id);
      // Nobody runs it: taking it up ends it.
      if (row !== undefined && row.lease_owner === null) {
        const claim = { owner, seenToken: row.lease_token, expiresAt: this.#leaseEnd() };
        const claimed = await claimRequest(database.db, id, claim);
        if (claimed !== undefined) await this.#takeUp(claimed);
      }
    }
    const timeout = new AbortController();
    const limit = clock.sleep(CANCEL_WAIT_MS, { signal: timeout.signal }).catch(() => undefined);
    const ended = Promise.all(ids.map((id) => this.wait(id, { signal: timeout.signal }).catch(() => undefined)));
    await Promise.race([ended, limit]);
    timeout.abort();
    return ids;
  }

  /**
   * Stops serving. What cannot be resumed gets `graceMs` to end, then ends as interrupted; what can be resumed is left as a crash
   * would leave it, and goes on at the next start.
   */
  async close(options: { readonly graceMs: number }): Promise<void> {
    this.#closing.abort();
    const short = [...this.#live.values()].filter((live) => !live.operation.isResumable);
    const timer = new AbortController();
    const grace = this.#options.clock.sleep(options.graceMs, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([Promise.all(short.map((live) => live.done)), grace]);
    timer.abort();
    for (const live of this.#live.values()) {
      if (!live.operation.isResumable) live.controller.abort(interruptedByRestart(live.row.request_id));
    }
    await Promise.race([Promise.all(short.map((live) => live.done)), this.#options.clock.sleep(1000)]);
    for (const live of this.#live.values()) {
      if (live.operation.isResumable) {
        await releaseRequest(this.#options.database.db, live.row.request_id, { leaseToken: live.row.lease_token });
      }
    }
  }

  #abort(requestId: string): boolean {
    const live = this.#live.get(requestId);
    live?.controller.abort(new RequestCancelledError(`Request ${requestId} was cancelled.`));
    return live !== undefined;
  }

  #assertOpen(): void {
    if (!this.#closing.signal.aborted) return;
    throw new RequestInterruptedError("Server is shutting down, please try again later.");
  }

  #insert(row: NewRequest, options: { readonly isDurable: boolean }): Promise<boolean> {
    const { database } = this.#options;
    return options.isDurable ? database.durably((db) => insertRequest(db, row)) : insertRequest(database.db, row);
  }

  async #checkRepeated(submission: Submission): Promise<void> {
    const row = await findRequest(this.#options.database.db, submission.requestId);
    if (
      row === undefined ||
      (row.user_id === submission.caller.userId && row.operation === submission.operation.name)
    ) {
      return;
    }
    throw new PermissionDeniedError("This idempotency key was used for another request.");
  }

  #newRow(
    submission: Submission,
    options: { readonly runsNow: boolean; readonly isKept: boolean },
  ): NewRequest & { readonly request_id: string } {
    const { requestId, operation, caller, body } = submission;
    const input: RequestInput = {
      body,
      caller,
      isLocalClient: submission.isLocalClient,
      clientApiVersion: submission.clientApiVersion,
    };
    return {
      request_id: requestId,
      operation: operation.name,
      name: `sky.${operation.wireName}`,
      status: options.runsNow ? "RUNNING" : "PENDING",
      schedule_type: submission.schedule,
      user_id: caller.userId,
      user_name: caller.userName,
      cluster_name: submission.clusterName,
      body: toDisplayBody(body),
      sealed_body: options.isKept ? this.#options.sealer.seal(requestId, JSON.stringify(input)) : null,
      return_value: null,
      error: null,
      status_msg: null,
      should_retry: 0,
      file_mounts_blob_id: body.file_mounts_blob_id ?? null,
      created_at: this.#options.clock.now(),
      finished_at: null,
      lease_owner: options.runsNow ? this.#options.owner : null,
      lease_token: options.runsNow ? 1 : 0,
      lease_expires_at: options.runsNow ? this.#leaseEnd() : null,
      cancel_requested: 0,
      attempts: options.runsNow ? 1 : 0,
    };
  }

  #leaseEnd(): number | null {
    return this.#isShared ? this.#options.clock.now() + LEASE_MS : null;
  }

  #freeSlots(schedule: ScheduleType): number {
    let used = this.#reserved[schedule];
    for (const { row } of this.#live.values()) {
      if (row.schedule_type === schedule && row.status === "RUNNING") used += 1;
    }
    return this.#options.limits[schedule] - used;
  }

  #launch(row: RequestRow, input: RequestInput, insertion?: PendingInsert): void {
    const operation = this.#options.operations[row.operation];
    if (operation === undefined) throw new RangeError(`No operation is named ${row.operation}.`);
    const live: LiveRequest = {
      row,
      operation,
      input,
      controller: new AbortController(),
      insertion,
      done: Promise.resolve(undefined),
    };
    this.#live.set(row.request_id, live);
    live.done = runRequest(live, this.#options).finally(() => {
      this.#live.delete(row.request_id);
      this.#options.events.notify(row.request_id);
      if (this.#hasBacklog[row.schedule_type]) this.#background(this.#pump(row.schedule_type));
    });
    this.#background(live.done);
  }

  #pumpAll(): void {
    for (const schedule of ["long", "short"] as const) {
      if (this.#hasBacklog[schedule]) this.#background(this.#pump(schedule));
    }
  }

  /** Fills the free slots of a schedule from the table, oldest first. */
  async #pump(schedule: ScheduleType): Promise<void> {
    if (this.#isPumping[schedule] || this.#closing.signal.aborted) return;
    this.#isPumping[schedule] = true;
    const { database, clock, owner } = this.#options;
    try {
      while (this.#hasBacklog[schedule]) {
        const limit = this.#freeSlots(schedule);
        if (limit <= 0) return;
        this.#hasBacklog[schedule] = false;
        const rows = await findClaimable(database.db, schedule, { now: clock.now(), limit });
        if (rows.length === limit) this.#hasBacklog[schedule] = true;
        for (const { request_id: id, lease_token: seenToken } of rows) {
          const row = await claimRequest(database.db, id, { owner, seenToken, expiresAt: this.#leaseEnd() });
          if (row !== undefined) await this.#takeUp(row);
        }
      }
    } finally {
      this.#isPumping[schedule] = false;
    }
  }

  /** Runs a claimed row, or ends it when it must not run (again). */
  async #takeUp(row: RequestRow): Promise<void> {
    const { operations, sealer, clock, events } = this.#options;
    const requestId = row.request_id;
    const end = async (outcome: RequestOutcome): Promise<void> => {
      const live = { row, controller: new AbortController() } as LiveRequest;
      await storeOutcome(live, outcome, this.#options);
      events.notify(requestId);
    };
    if (row.cancel_requested === 1) return end(cancelled(clock.now()));
    const operation = operations[row.operation];
    if (operation === undefined || row.sealed_body === null || (row.attempts > 1 && !operation.isResumable)) {
      return end(failed(interruptedByRestart(requestId), { requestId, finishedAt: clock.now() }));
    }
    try {
      this.#launch(row, JSON.parse(sealer.open(requestId, row.sealed_body)) as RequestInput);
    } catch (error) {
      await end(failed(error, { requestId, finishedAt: clock.now() }));
    }
    return undefined;
  }

  async #cancelOthers(clusterName: string, requestId: string): Promise<readonly string[]> {
    const ids = await listActiveOnCluster(this.#options.database.db, clusterName);
    return this.cancel(ids.filter((id) => id !== requestId));
  }

  /** Keeps our leases, notices those that we lost and cancellations asked of other replicas, and takes over from dead ones. */
  async #keepLeases(): Promise<void> {
    const { database, owner, clock, onInternalError } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await clock.sleep(HEARTBEAT_MS, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const held = await extendLeases(database.db, owner, { expiresAt: clock.now() + LEASE_MS });
        const cancelledOf = new Map(held.map((row) => [row.request_id, row.cancel_requested === 1]));
        for (const [id, live] of this.#live) {
          const isCancelled = cancelledOf.get(id);
          if (isCancelled === true) this.#abort(id);
          if (isCancelled === undefined) await this.#checkLost(id, live);
        }
        this.#hasBacklog.long = true;
        this.#hasBacklog.short = true;
        await Promise.all([this.#pump("long"), this.#pump("short")]);
      } catch (error) {
        onInternalError(error, "leases");
      }
    }
  }

  async #checkLost(id: string, live: LiveRequest): Promise<void> {
    const row = await findRequest(this.#options.database.db, id);
    // It may have ended, or have begun after the leases were extended.
    if (row === undefined || isTerminal(row.status) || row.lease_token === live.row.lease_token) return;
    live.controller.abort(new LeaseLostError(`Request ${id} was taken over by another server.`));
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#options.onInternalError(error, "queue"));
  }
}

/** A new row has every column already; Insertable only does not say so. */
function fullRow(row: NewRequest): RequestRow {
  return {
    ...row,
    should_retry: row.should_retry ?? 0,
    return_hash: null,
    sealed_body: null,
  } as RequestRow;
}
