import { rm } from "node:fs/promises";
import type { Kysely } from "kysely";
import { enforceBudgets, type BudgetRequest } from "../../core/budgets/enforce.ts";
import { REFRESH_EVERY_MS, refreshAllClusters } from "../../core/clusters/refresh-all.ts";
import type { AgentConnections, ClusterLocks } from "../../core/operation.ts";
import type { CloudRegistry } from "../../core/ports/cloud.ts";
import type { StoreRegistry } from "../../core/ports/object-store.ts";
import { LEFT_STORAGE_EVERY_MS, LeftStorage } from "../../core/storage/left-storage.ts";
import { deleteUnusedValues } from "../../db/queries/request-values.ts";
import { deleteFinishedBefore, listActiveBlobIds } from "../../db/queries/requests.ts";
import type { Database } from "../../db/schema.ts";
import type { Logger } from "../../platform/logger.ts";
import type { ServerPaths } from "../../platform/server-paths.ts";
import type { Clock } from "../../shared/clock.ts";
import type { ServerConfig } from "../server-config.ts";
import { requestLogPath } from "../requests/run-request.ts";
import { collectBlobs } from "../uploads/blob-store.ts";

const HOUR_MS = 3_600_000;
/** A budget is kept within a minute of being reached. */
const BUDGETS_EVERY_MS = 30_000;
const RESTART_MS = 20_000;
const BATCH = 500;

export interface DaemonOptions {
  readonly db: Kysely<Database>;
  readonly paths: ServerPaths;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: ServerConfig;
  readonly clouds: CloudRegistry;
  readonly agents: AgentConnections;
  readonly locks: ClusterLocks;
  readonly stores: StoreRegistry;
  /** Path of the agent's program. */
  readonly agentBundle: string;
  /** Stores a request of the server's own. */
  readonly submit: (request: BudgetRequest) => Promise<void>;
}

export interface Daemons {
  close(): Promise<void>;
}

/** Starts the server's background loops. A loop that fails is tried again after 20 s. */
export function startDaemons(options: DaemonOptions): Daemons {
  const stop = new AbortController();
  const loops = [
    repeat("cluster-refresh", {
      ...options,
      everyMs: REFRESH_EVERY_MS,
      signal: stop.signal,
      work: () => refreshClusters(options, stop.signal),
    }),
    repeat("budgets", {
      ...options,
      everyMs: BUDGETS_EVERY_MS,
      signal: stop.signal,
      work: () =>
        enforceBudgets({
          ...options,
          warn: (text) => options.logger.warn(text),
          onError: (clusterName, error) => options.logger.warn({ err: error, clusterName }, "budget"),
        }),
    }),
    removeLeftStorage({ ...options, signal: stop.signal }),
    repeat("request-gc", { ...options, everyMs: HOUR_MS, signal: stop.signal, work: () => collectRequests(options) }),
    repeat("blob-gc", { ...options, everyMs: HOUR_MS, signal: stop.signal, work: () => collectUploads(options) }),
  ];
  return {
    close: async () => {
      stop.abort();
      await Promise.all(loops);
    },
  };
}

async function repeat(
  name: string,
  options: DaemonOptions & {
    readonly everyMs: number;
    readonly signal: AbortSignal;
    readonly work: () => Promise<void>;
  },
): Promise<void> {
  const { clock, signal, logger } = options;
  while (!signal.aborted) {
    let pauseMs = options.everyMs;
    try {
      await options.work();
    } catch (error) {
      logger.error({ err: error, daemon: name }, "daemon failed");
      pauseMs = RESTART_MS;
    }
    await clock.sleep(pauseMs, { signal }).catch(() => undefined);
  }
}

/** Buckets that were to go with a cluster which has taken itself down. */
async function removeLeftStorage(options: DaemonOptions & { readonly signal: AbortSignal }): Promise<void> {
  const { logger, signal } = options;
  const left = new LeftStorage({
    ...options,
    config: () => options.config.load(),
    onRemoved: (bucket) => logger.info({ bucket }, "removed a bucket whose cluster is gone"),
    onError: (bucket, error) => logger.warn({ err: error, bucket }, "bucket whose cluster is gone"),
  });
  await repeat("left-storage", { ...options, everyMs: LEFT_STORAGE_EVERY_MS, work: () => left.remove(signal) });
}

async function refreshClusters(options: DaemonOptions, signal: AbortSignal): Promise<void> {
  const onError = (clusterName: string, error: unknown): void =>
    options.logger.warn({ err: error, clusterName }, "cluster refresh");
  await refreshAllClusters({ ...options, config: await options.config.load(), onError }, { signal });
}

/** Deletes requests that ended longer ago than `api_server.requests_retention_hours` (24; negative = never), and their logs. */
export async function collectRequests(
  options: Pick<DaemonOptions, "db" | "paths" | "clock" | "config">,
): Promise<void> {
  const hours = await retentionHours(options.config);
  if (hours < 0) return;
  const before = options.clock.now() - hours * HOUR_MS;
  for (;;) {
    const ids = await deleteFinishedBefore(options.db, before, { limit: BATCH });
    for (const id of ids) await rm(requestLogPath(options.paths.requestLogs, id), { force: true });
    if (ids.length < BATCH) break;
  }
  await deleteUnusedValues(options.db, options.clock.now() - HOUR_MS);
}

async function collectUploads(options: Pick<DaemonOptions, "db" | "paths" | "clock">): Promise<void> {
  const inUse = new Set(await listActiveBlobIds(options.db));
  const { blobs, uploads } = options.paths;
  await collectBlobs({ blobs, uploads, inUse, now: options.clock.now(), maxAgeMs: HOUR_MS });
}

async function retentionHours(config: ServerConfig): Promise<number> {
  const section = (await config.load())["api_server"];
  const hours = (section as Record<string, unknown> | undefined)?.["requests_retention_hours"];
  return typeof hours === "number" ? hours : 24;
}
