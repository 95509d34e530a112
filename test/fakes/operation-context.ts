import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAgentPool } from "../../src/core/agents/events.ts";
import { createClusterLocks } from "../../src/core/clusters/lock.ts";
import { SharedClusterLocks } from "../../src/core/clusters/shared-lock.ts";
import { createEffect, type PassFailpoint } from "../../src/core/effect.ts";
import type { AgentConnections, Effect, OperationContext, RequestLog } from "../../src/core/operation.ts";
import type { CloudRegistry } from "../../src/core/ports/cloud.ts";
import { openCatalogs } from "../support/catalogs.ts";
import { createPatientClouds } from "../../src/core/provision/patient-clouds.ts";
import { openDatabase, type OpenDatabase } from "../../src/db/database.ts";
import { insertRequest } from "../../src/db/queries/requests.ts";
import { Mounters } from "../../src/core/storage/mounters.ts";
import { MountKeys } from "../../src/core/storage/mount-keys.ts";
import { createStoreRegistry } from "../../src/stores/registry.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { systemClock } from "../../src/shared/clock.ts";

/** A request log that keeps what it is told. */
export class MemoryLog implements RequestLog {
  readonly lines: string[] = [];
  readonly spinners: string[] = [];

  line(text: string): void {
    this.lines.push(...text.split("\n"));
  }

  spin(message: string): void {
    this.spinners.push(message);
  }

  spinEnd(): void {
    this.spinners.push("");
  }

  /** Without colours. */
  plain(): string[] {
    // oxlint-disable-next-line no-control-regex -- escape sequences are what is removed
    return this.lines.map((line) => line.replace(/\u001b\[[0-9;]*m/g, ""));
  }
}

export interface TestServer {
  readonly database: OpenDatabase;
  readonly home: string;
  readonly agents: AgentConnections;
  readonly clouds: CloudRegistry;
  /** The context of a request; the same id goes on with that request's journal. */
  context(requestId: string, options?: TestContextOptions): Promise<OperationContext & { readonly log: MemoryLog }>;
  close(): Promise<void>;
}

export interface TestContextOptions {
  readonly signal?: AbortSignal;
  readonly passFailpoint?: PassFailpoint;
  /** Changes the journal, to see that tests notice. */
  readonly wrapEffect?: (effect: Effect) => Effect;
  readonly cancelOthers?: (clusterName: string) => Promise<readonly string[]>;
  readonly user?: string;
  readonly userName?: string;
  readonly config?: OperationContext["config"];
  readonly isLocalClient?: boolean;
}

export interface TestServerOptions {
  readonly clouds: (home: string) => CloudRegistry;
  readonly agentBundle: string;
  readonly clock?: Clock;
  /** An existing home, which `close` leaves in place. */
  readonly home?: string;
  readonly database?: OpenDatabase;
  /** Names a server that shares its database with others. */
  readonly owner?: string;
  readonly onBackgroundError?: (error: unknown) => void;
}

/** Everything that operations need of a server, without HTTP and queue: a database in memory and a home of its own. */
export async function createTestServer(options: TestServerOptions): Promise<TestServer> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "sky-"));
  const database = options.database ?? (await openDatabase({ sqlite: ":memory:" }));
  const clock = options.clock ?? systemClock;
  const catalogs = openCatalogs(home);
  const clouds = createPatientClouds(options.clouds(home), clock);
  const shared =
    options.owner === undefined
      ? undefined
      : new SharedClusterLocks({
          db: database.db,
          owner: options.owner,
          clock: systemClock,
          onError: (error) => options.onBackgroundError?.(error),
        });
  const locks = shared ?? createClusterLocks();
  const stores = createStoreRegistry(clouds, { unfinishedUploads: join(home, "unfinished-uploads") });
  const mountKeys = new MountKeys({
    db: database.db,
    stores,
    clock,
    config: () => Promise.resolve({}),
    onError: (_, error) => options.onBackgroundError?.(error),
  });
  const agents = createAgentPool({
    mountKeys,
    db: database.db,
    clouds,
    clock,
    locks,
    agentBundle: options.agentBundle,
    onError: (_, error) => options.onBackgroundError?.(error),
  });
  return {
    database,
    home,
    agents,
    clouds,
    context: async (requestId, request = {}) => {
      await insertRow(database, requestId, clock);
      const { passFailpoint, wrapEffect = (effect) => effect } = request;
      return {
        requestId,
        caller: { userId: request.user ?? "0a1b2c3d", userName: request.userName ?? "alice", workspace: "default" },
        db: database.db,
        clouds,
        stores,
        mountKeys,
        mounters: new Mounters({ cacheDir: join(home, "mounters"), pinsFile: undefined }),
        catalogs,
        clock,
        log: new MemoryLog(),
        signal: request.signal ?? new AbortController().signal,
        effect: wrapEffect(
          createEffect({
            db: database.db,
            durably: database.durably,
            requestId,
            leaseToken: 1,
            clock,
            ...(passFailpoint === undefined ? {} : { passFailpoint }),
          }),
        ),
        config: request.config ?? {},
        isLocalClient: request.isLocalClient ?? false,
        clientEnv: {},
        stateDir: join(home, ".sky", "ts"),
        resolveClientPath: (path) => path,
        clientFilesTop: "/",
        agents,
        locks,
        requests: {
          setWaiting: () => undefined,
          cancelOthers: request.cancelOthers ?? (() => Promise.resolve([])),
        },
        home,
        agentBundle: options.agentBundle,
      };
    },
    close: async () => {
      await agents.close();
      await shared?.close();
      if (options.database === undefined) await database.close();
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

async function insertRow(database: OpenDatabase, requestId: string, clock: Clock): Promise<void> {
  await insertRequest(database.db, {
    request_id: requestId,
    operation: "test",
    name: "sky.test",
    status: "RUNNING",
    schedule_type: "long",
    user_id: "0a1b2c3d",
    user_name: "alice",
    body: "{}",
    created_at: clock.now(),
    lease_token: 1,
    cancel_requested: 0,
    attempts: 1,
  });
}
