import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { JobRecord, JobStatus, QueueParams, SubmitParams } from "../../shared/agent/protocol.ts";
import type { Grant } from "./allocator.ts";
import { canBecome } from "./state.ts";

/** What the agent keeps of a submission: all but the values of envs and secrets, which must not reach the database. */
export type JobSpec = Omit<SubmitParams, "envs" | "secrets">;

export interface StoredJob {
  readonly record: JobRecord;
  readonly spec: JobSpec;
  /** Null before the job has its nodes. */
  readonly placement: JobPlacement | null;
}

export interface JobPlacement {
  /** One per rank. */
  readonly grants: readonly Grant[];
  /** Nodes that run the setup. */
  readonly setupNodes: readonly number[];
  /** Nodes of the cluster when the job got its own: names of files and prefixes go by it, also after the cluster grew. */
  readonly clusterNodes?: number;
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS jobs (
  job_id INTEGER PRIMARY KEY AUTOINCREMENT, job_name TEXT, username TEXT, submitted_at FLOAT, status TEXT,
  run_timestamp TEXT, start_at FLOAT DEFAULT -1, end_at FLOAT, resources TEXT, pid INTEGER DEFAULT -1,
  log_dir TEXT, metadata TEXT DEFAULT '{}', exit_codes TEXT);
CREATE TABLE IF NOT EXISTS pending_jobs (job_id INTEGER PRIMARY KEY, run_cmd TEXT, submit FLOAT, created_time FLOAT);
CREATE TABLE IF NOT EXISTS job_specs (
  job_id INTEGER PRIMARY KEY, submit_key TEXT UNIQUE NOT NULL, spec TEXT NOT NULL, placement TEXT);
CREATE TABLE IF NOT EXISTS replies (reply_key TEXT PRIMARY KEY, reply TEXT NOT NULL, created_at FLOAT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status) WHERE status IN ('INIT', 'PENDING', 'SETTING_UP', 'RUNNING');
`;
const SELECT = "SELECT j.*, s.spec, s.placement FROM jobs j JOIN job_specs s ON s.job_id = j.job_id";
const UNFINISHED = "j.status IN ('INIT', 'PENDING', 'SETTING_UP', 'RUNNING')";
/** Replies to repeated requests are kept this long. */
const REPLY_SECONDS = 24 * 3600;

interface JobRow {
  readonly job_id: number;
  readonly submitted_at: number;
  readonly status: JobStatus;
  readonly start_at: number;
  readonly end_at: number | null;
  readonly log_dir: string;
  readonly exit_codes: string | null;
  readonly spec: string;
  readonly placement: string | null;
}

/** The job queue on disk (`~/.sky/jobs.db`). A submitted job is on the disk when `add` returns. */
export class JobStore {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true });
    this.#db = new DatabaseSync(path, { timeout: 5000 });
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2000;");
    this.#db.exec(SCHEMA);
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  /** Adds a job, or finds the one of the same key. Synced to disk. `nowMs`: milliseconds since the epoch. */
  add(spec: JobSpec, nowMs: number): { readonly job: StoredJob; readonly isNew: boolean } {
    const before = this.findByKey(spec.key);
    if (before !== undefined) return { job: before, isNew: false };
    const now = nowMs / 1000;
    // A submission must survive a loss of power; what follows from it can be found out again.
    this.#db.exec("PRAGMA synchronous = FULL");
    try {
      this.#transaction(() => {
        const { lastInsertRowid } = this.#run(
          `INSERT INTO jobs (job_name, username, submitted_at, status, run_timestamp, resources, metadata, log_dir)
           VALUES (?, ?, ?, 'PENDING', ?, ?, ?, '')`,
          [spec.name, spec.userHash, now, spec.runTimestamp, spec.resourcesText, JSON.stringify(spec.metadata)],
        );
        this.#run("UPDATE jobs SET log_dir = ? WHERE job_id = ?", [
          logDirOf(Number(lastInsertRowid), spec.name),
          lastInsertRowid,
        ]);
        this.#run("INSERT INTO job_specs (job_id, submit_key, spec) VALUES (?, ?, ?)", [
          lastInsertRowid,
          spec.key,
          JSON.stringify(spec),
        ]);
        this.#run("INSERT INTO pending_jobs (job_id, run_cmd, submit, created_time) VALUES (?, '', 0, ?)", [
          lastInsertRowid,
          now,
        ]);
      });
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
    const job = this.findByKey(spec.key);
    if (job === undefined) throw new Error("A job that was just added is not there.");
    return { job, isNew: true };
  }

  findByKey(key: string): StoredJob | undefined {
    return this.#one(`${SELECT} WHERE s.submit_key = ?`, [key]);
  }

  find(jobId: number): StoredJob | undefined {
    return this.#one(`${SELECT} WHERE j.job_id = ?`, [jobId]);
  }

  findLatest(): StoredJob | undefined {
    return this.#one(`${SELECT} ORDER BY j.job_id DESC LIMIT 1`, []);
  }

  listUnfinished(): StoredJob[] {
    return this.#all(`${SELECT} WHERE ${UNFINISHED} ORDER BY j.job_id`, []);
  }

  /** Newest first. */
  list(params: QueueParams): StoredJob[] {
    const where: string[] = [];
    const values: SQLInputValue[] = [];
    if (params.userHash !== undefined) {
      where.push("j.username = ?");
      values.push(params.userHash);
    }
    if (params.skipFinished === true) where.push(UNFINISHED);
    if (params.jobIds !== undefined) {
      where.push("j.job_id IN (SELECT value FROM json_each(?))");
      values.push(JSON.stringify(params.jobIds));
    }
    const filter = where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`;
    return this.#all(`${SELECT}${filter} ORDER BY j.job_id DESC LIMIT ?`, [...values, params.limit ?? -1]);
  }

  /**
   * Moves a job along the table of states; false when it is no longer in `from` (somebody else moved it: apply nothing).
   * Throws on an edge that the table does not have.
   */
  move(
    jobId: number,
    edge: { readonly from: JobStatus; readonly to: JobStatus },
    changes: {
      readonly nowMs: number;
      readonly placement?: JobPlacement;
      readonly exitCodes?: readonly number[];
    },
  ): boolean {
    const { from, to } = edge;
    if (!canBecome(from, to)) throw new Error(`A job cannot go from ${from} to ${to}.`);
    const now = changes.nowMs / 1000;
    const isRunning = to === "RUNNING";
    const isEnd = to !== "RUNNING" && to !== "SETTING_UP" && to !== "PENDING";
    const exitCodes = changes.exitCodes === undefined ? null : changes.exitCodes.join(",");
    let isMoved = false;
    this.#transaction(() => {
      const { changes: rows } = this.#run(
        `UPDATE jobs SET status = ?, start_at = CASE WHEN ? THEN ? ELSE start_at END,
           end_at = CASE WHEN ? THEN ? ELSE end_at END, exit_codes = coalesce(?, exit_codes)
         WHERE job_id = ? AND status = ?`,
        [to, Number(isRunning), now, Number(isEnd), now, exitCodes, jobId, from],
      );
      isMoved = rows === 1;
      if (!isMoved) return;
      if (from === "PENDING") this.#run("DELETE FROM pending_jobs WHERE job_id = ?", [jobId]);
      if (changes.placement !== undefined) {
        this.#run("UPDATE job_specs SET placement = ? WHERE job_id = ?", [JSON.stringify(changes.placement), jobId]);
      }
    });
    return isMoved;
  }

  /** The answer given before to a request of this key. */
  findReply(key: string): unknown {
    const row = this.#prepare("SELECT reply FROM replies WHERE reply_key = ?").get(key);
    return row === undefined ? undefined : (JSON.parse(String(row["reply"])) as unknown);
  }

  saveReply(key: string, reply: unknown, nowMs: number): void {
    const now = nowMs / 1000;
    this.#transaction(() => {
      this.#run("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", [key, JSON.stringify(reply), now]);
      this.#run("DELETE FROM replies WHERE created_at < ?", [now - REPLY_SECONDS]);
    });
  }

  #transaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // A full disk has rolled back already.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(sql: string, values: readonly SQLInputValue[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#prepare(sql).run(...values);
  }

  #one(sql: string, values: readonly SQLInputValue[]): StoredJob | undefined {
    return this.#all(sql, values)[0];
  }

  #all(sql: string, values: readonly SQLInputValue[]): StoredJob[] {
    return (this.#prepare(sql).all(...values) as unknown as JobRow[]).map(toStoredJob);
  }
}

/** The log directory as records show it. */
function logDirOf(jobId: number, name: string | null): string {
  return `~/sky_logs/${jobId}-${safeName(name)}`;
}

/** A job's name as a part of a path: no separator gets through, and no name is too long for a file system. */
function safeName(name: string | null): string {
  if (name === null) return "None";
  return Buffer.from(name.replaceAll(/[/\0]/g, "_")).subarray(0, 200).toString("utf8").replaceAll("\u{FFFD}", "");
}

function toStoredJob(row: JobRow): StoredJob {
  const spec = JSON.parse(row.spec) as JobSpec;
  return {
    spec,
    placement: row.placement === null ? null : (JSON.parse(row.placement) as JobPlacement),
    record: {
      jobId: row.job_id,
      name: spec.name,
      userHash: spec.userHash,
      userName: spec.userName,
      submittedAt: row.submitted_at,
      startAt: row.start_at < 0 ? null : row.start_at,
      endAt: row.end_at,
      status: row.status,
      resourcesText: spec.resourcesText,
      runTimestamp: spec.runTimestamp,
      logDir: row.log_dir,
      numNodes: spec.numNodes,
      exitCodes: row.exit_codes === null ? null : row.exit_codes.split(",").map(Number),
      metadata: spec.metadata,
    },
  };
}
