import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hono } from "hono";
import { openCatalogs } from "../support/catalogs.ts";
import type { OperationContext } from "../../src/core/operation.ts";
import type { OpenDatabase } from "../../src/db/database.ts";
import { serverPaths, type ServerPaths } from "../../src/platform/server-paths.ts";
import { createApp } from "../../src/server/app.ts";
import type { AppDependencies, AppEnv } from "../../src/server/app-types.ts";
import type { AccessPolicy } from "../../src/server/guard.ts";
import { RequestEvents } from "../../src/server/requests/request-events.ts";
import { RequestQueue } from "../../src/server/requests/request-queue.ts";
import { Sealer } from "../../src/server/requests/sealer.ts";
import type { AnyOperation, QueueOptions, RunInfo } from "../../src/server/requests/types.ts";
import { serverOperations } from "../../src/server/server-operations.ts";
import { UserDirectory } from "../../src/server/users.ts";
import { systemClock, type Clock } from "../../src/shared/clock.ts";

export interface TestServerOptions {
  readonly database: OpenDatabase;
  /** By wire name, over the server's own. */
  readonly operations?: Readonly<Record<string, AnyOperation>>;
  readonly limits?: QueueOptions["limits"];
  readonly clock?: Clock;
  readonly policy?: Partial<AccessPolicy>;
  /** Directory of an earlier server, which is then kept. */
  readonly home?: string;
  readonly key?: Buffer;
  readonly passFailpoint?: QueueOptions["passFailpoint"];
  readonly owner?: string;
}

export interface TestServer {
  readonly app: Hono<AppEnv>;
  readonly queue: RequestQueue;
  readonly events: RequestEvents;
  readonly paths: ServerPaths;
  readonly home: string;
  readonly key: Buffer;
  /** What was reported as a bug. */
  readonly bugs: unknown[];
  /** Sends a POST as a client on this machine does. */
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  dispose(): Promise<void>;
}

/** An operation of a test. */
export function testOperation(
  wireName: string,
  run: (body: never, context: OperationContext) => Promise<unknown>,
  options: { readonly schedule?: "long" | "short"; readonly isResumable?: boolean } = {},
): AnyOperation {
  return {
    name: `test.${wireName}`,
    wireName,
    schedule: options.schedule ?? "long",
    isResumable: options.isResumable ?? true,
    run,
  };
}

/** The real application and queue on a real database; only what operations need of the outside is missing. */
export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "test-server-"));
  const paths = serverPaths(home);
  const key = options.key ?? randomBytes(32);
  const clock = options.clock ?? systemClock;
  const events = new RequestEvents();
  const bugs: unknown[] = [];
  const stopping = new AbortController();
  const onInternalError = (error: unknown): void => void bugs.push(error);
  const createContext = (run: RunInfo): Promise<OperationContext> => Promise.resolve(toContext(run, { paths, clock }));
  const operations: Record<string, AnyOperation> = {
    ...serverOperations({ cancel: (ids) => queue.cancel(ids), enabledClouds: undefined }),
    ...options.operations,
  };
  const queue = new RequestQueue({
    database: options.database,
    operations: Object.fromEntries(Object.values(operations).map((operation) => [operation.name, operation])),
    createContext,
    events,
    sealer: new Sealer(key),
    clock,
    logDirectory: paths.requestLogs,
    owner: options.owner ?? randomUUID(),
    limits: options.limits ?? { long: 4, short: 4 },
    onInternalError,
    ...(options.passFailpoint === undefined ? {} : { passFailpoint: options.passFailpoint }),
  });
  const self = { userId: "5e1f5e1f", userName: "server" };
  const deps: AppDependencies = {
    queue,
    events,
    db: options.database.db,
    catalogs: openCatalogs(home),
    operations,
    createContext,
    users: new UserDirectory(options.database.db, { clock, self }),
    paths,
    policy: { isLoopback: true, allowedHosts: [], token: undefined, ...options.policy },
    clock,
    self,
    maxUploadBytes: 10_000_000,
    onInternalError,
    stopping: stopping.signal,
  };
  const app = createApp(deps);
  await queue.start();
  const send = async (path: string, init: RequestInit): Promise<Response> =>
    app.request(path, { ...init, headers: { host: "127.0.0.1:46580", ...(init.headers as Record<string, string>) } });
  return {
    app,
    queue,
    events,
    paths,
    home,
    key,
    bugs,
    post: (path, body = {}, headers = {}) => {
      const text = JSON.stringify(body);
      const length = String(Buffer.byteLength(text));
      const all = { "content-type": "application/json", "content-length": length, ...headers };
      return send(path, { method: "POST", body: text, headers: all });
    },
    get: (path, headers = {}) => send(path, { headers }),
    dispose: async () => {
      stopping.abort();
      await queue.close({ graceMs: 0 });
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

function toContext(run: RunInfo, options: { readonly paths: ServerPaths; readonly clock: Clock }): OperationContext {
  const missing = (): never => {
    throw new Error("This test server has no such part.");
  };
  return {
    requestId: run.requestId,
    caller: { ...run.input.caller, workspace: "default" },
    db: run.db,
    clouds: { names: () => [], load: missing },
    stores: { types: () => [], load: missing },
    get mountKeys() {
      return missing();
    },
    get mounters() {
      return missing();
    },
    catalogs: openCatalogs(options.paths.home),
    clock: options.clock,
    log: run.log,
    signal: run.signal,
    effect: run.effect,
    config: {},
    clientEnv: {},
    stateDir: options.paths.root,
    resolveClientPath: (path) => path,
    clientFilesTop: "/",
    agents: { connect: missing, drop: missing, close: () => Promise.resolve() },
    locks: { acquire: missing, tryAcquire: missing, lossOf: missing, findHolder: () => Promise.resolve(undefined) },
    requests: run.requests,
    home: options.paths.home,
    agentBundle: "",
  };
}

/** Id of the request that an operation endpoint has stored. */
export function requestIdOf(response: Response): string {
  const id = response.headers.get("x-skypilot-request-id");
  if (id === null) throw new Error("The response names no request.");
  return id;
}
