import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { Catalogs } from "../catalog/catalogs.ts";
import { createCloudRegistry } from "../clouds/registry.ts";
import { createAgentPool, type AgentsOptions } from "../core/agents/events.ts";
import { createClusterLocks } from "../core/clusters/lock.ts";
import { SharedClusterLocks } from "../core/clusters/shared-lock.ts";
import type { PassFailpoint } from "../core/effect.ts";
import { createPatientClouds } from "../core/provision/patient-clouds.ts";
import type { BudgetRequest } from "../core/budgets/enforce.ts";
import type { CloudRegistry } from "../core/ports/cloud.ts";
import type { ClusterLocks, OperationContext } from "../core/operation.ts";
import { operations as coreOperations } from "../core/operations.ts";
import type { OpenDatabase } from "../db/database.ts";
import type { Logger } from "../platform/logger.ts";
import type { ServerPaths } from "../platform/server-paths.ts";
import type { Clock } from "../shared/clock.ts";
import { createApp } from "./app.ts";
import type { StoreRegistry } from "../core/ports/object-store.ts";
import { MountKeys } from "../core/storage/mount-keys.ts";
import { Mounters } from "../core/storage/mounters.ts";
import { createStoreRegistry } from "../stores/registry.ts";
import { cachedStatus } from "./cached-status.ts";
import { startDaemons } from "./daemons/daemons.ts";
import { ServerConfig } from "./server-config.ts";
import type { AccessPolicy } from "./guard.ts";
import type { NodeHandler, UpgradeHandler } from "./listener.ts";
import { createOperationContext } from "./operation-context.ts";
import { RequestEvents } from "./requests/request-events.ts";
import { RequestQueue } from "./requests/request-queue.ts";
import type { Sealer } from "./requests/sealer.ts";
import type { AnyOperation, RequestCaller, RunInfo, Submission } from "./requests/types.ts";
import { createUpgrades } from "./ssh-proxy/upgrades.ts";
import { serverOperations } from "./server-operations.ts";
import { UserDirectory } from "./users.ts";

export interface ServerParts {
  readonly database: OpenDatabase;
  readonly sealer: Sealer;
  readonly paths: ServerPaths;
  readonly policy: AccessPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: RequestCaller;
  readonly owner: string;
  readonly configPath: string;
  readonly agentBundle: string;
  /** How other programs call this package's `sky`; the one in PATH when absent. */
  readonly skyProgram?: readonly string[];
  /** Folder of the bundled catalogs. */
  readonly catalogSnapshots: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly limits: { readonly long: number; readonly short: number };
  readonly maxUploadBytes: number;
  readonly passFailpoint?: PassFailpoint;
  /** Instead of all clouds of the product. */
  readonly clouds?: CloudRegistry;
}

export interface RunningServer {
  readonly handler: NodeHandler;
  readonly upgrade: UpgradeHandler;
  close(options: { readonly graceMs: number }): Promise<void>;
}

/** Wires queue, operations and routes together, takes up unfinished requests and starts the daemons. */
export async function composeServer(parts: ServerParts): Promise<RunningServer> {
  const { database, clock, paths, logger } = parts;
  const stopping = new AbortController();
  const events = new RequestEvents();
  const onInternalError = (error: unknown, requestId: string): void =>
    logger.error({ err: error, requestId }, "internal error");
  const catalogs = new Catalogs({ directory: paths.catalogs, snapshots: parts.catalogSnapshots });
  const clouds = openClouds(parts, catalogs);
  const stores = createStoreRegistry(clouds, paths);
  const { locks, close: closeLocks } = openLocks(parts);
  const config = new ServerConfig(parts.configPath, clock);
  const mountKeys = openMountKeys(parts, { stores, config });
  const agents = openAgents(parts, { clouds, locks, mountKeys, config: () => config.load() });
  const cacheDir = join(paths.root, "runtimes");
  const mounters = new Mounters({ cacheDir, pinsFile: parts.env["SKYPILOT_RCLONE_PINS"] });
  const contextParts = { ...parts, clouds, stores, mountKeys, mounters, catalogs, agents, locks, config };
  const createContext = (run: RunInfo): Promise<OperationContext> => createOperationContext(run, contextParts);
  const operations: Record<string, AnyOperation> = {
    ...serverOperations({ cancel: (ids) => queue.cancel(ids), enabledClouds: coreOperations.enabled_clouds }),
    ...coreOperations,
    status: cachedStatus(coreOperations.status),
  };
  const queue = new RequestQueue({
    ...parts,
    operations: byName(operations),
    createContext,
    events,
    logDirectory: paths.requestLogs,
    onInternalError,
  });
  const app = createApp({
    ...parts,
    queue,
    events,
    db: database.db,
    catalogs,
    operations,
    createContext,
    users: new UserDirectory(database.db, { clock, self: parts.self }),
    onInternalError,
    stopping: stopping.signal,
  });
  const upgrades = createUpgrades({ ...parts, db: database.db, agents, onInternalError });
  await queue.start();
  await agents.resume();
  const submit = (request: BudgetRequest): Promise<void> => queue.submit(ownSubmission(request));
  const daemons = startDaemons({ ...parts, db: database.db, config, clouds, stores, agents, locks, submit });
  return {
    handler: getRequestListener(app.fetch, { overrideGlobalObjects: false }),
    upgrade: upgrades.handle,
    close: async (options) => {
      await queue.close(options);
      stopping.abort();
      upgrades.close();
      await daemons.close();
      await agents.close();
      await closeLocks();
    },
  };
}

function openMountKeys(
  { database, clock, logger }: ServerParts,
  shared: { readonly stores: StoreRegistry; readonly config: ServerConfig },
): MountKeys {
  return new MountKeys({
    stores: shared.stores,
    db: database.db,
    clock,
    config: () => shared.config.load(),
    onError: (clusterName, error) => logger.warn({ err: error, clusterName }, "keys of mounts"),
  });
}

function openAgents(
  parts: ServerParts,
  shared: Pick<AgentsOptions, "clouds" | "locks" | "mountKeys" | "config">,
): ReturnType<typeof createAgentPool> {
  const { database, clock, logger, agentBundle } = parts;
  return createAgentPool({
    ...shared,
    db: database.db,
    clock,
    agentBundle,
    onError: (clusterName, error) => logger.warn({ err: error, clusterName }, "agent connection"),
  });
}

/** A request that the server makes by itself, as the cluster's owner in the cluster's workspace. */
function ownSubmission({ requestId, operation, cluster }: BudgetRequest): Submission {
  const chosen: AnyOperation = coreOperations[operation];
  return {
    requestId,
    isRepeatable: true,
    operation: chosen,
    schedule: chosen.schedule,
    clusterName: cluster.name,
    body: {
      cluster_name: cluster.name,
      entrypoint_command: `sky ${operation} ${cluster.name}`,
      override_skypilot_config: { active_workspace: cluster.workspace },
    },
    caller: { userId: cluster.user_hash, userName: cluster.user_name },
    isLocalClient: false,
    clientApiVersion: null,
  };
}

function openClouds(parts: ServerParts, catalogs: Catalogs): CloudRegistry {
  const all = parts.clouds ?? createCloudRegistry({ ...parts, home: parts.paths.home, catalogs });
  return createPatientClouds(all, parts.clock);
}

/** With SQLite no other server can use the state; with Postgres several may. */
function openLocks(parts: ServerParts): { readonly locks: ClusterLocks; readonly close: () => Promise<void> } {
  const { database, owner, clock, logger } = parts;
  if (database.kind === "sqlite") return { locks: createClusterLocks(), close: () => Promise.resolve() };
  const onError = (error: unknown): void => logger.warn({ err: error }, "cluster locks");
  const locks = new SharedClusterLocks({ db: database.db, owner, clock, onError });
  return { locks, close: () => locks.close() };
}

/** The queue looks operations up by the name that the row keeps. */
function byName(operations: Readonly<Record<string, AnyOperation>>): Record<string, AnyOperation> {
  return Object.fromEntries(Object.values(operations).map((operation) => [operation.name, operation]));
}
