import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PassFailpoint } from "../../src/core/effect.ts";
import type { Operation, OperationContext } from "../../src/core/operation.ts";
import type { Cloud, CloudRegistry } from "../../src/core/ports/cloud.ts";
import type { DatabaseKind, OpenDatabase } from "../../src/db/database.ts";
import { findCluster, listClusters, type ClusterRow } from "../../src/db/queries/clusters.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { AgentFleet } from "./agent-fleet.ts";
import { openTestDatabase } from "./databases.ts";
import type { KyselyPlugin } from "kysely";
import type { Tripwire } from "./tripwire.ts";
import { FakeCloud, type FakeCloudKnobs } from "./fake-cloud.ts";
import { createTestServer, type MemoryLog, type TestContextOptions, type TestServer } from "./operation-context.ts";

/** Time that passes at once when somebody sleeps. */
export function hurriedClock(): Clock {
  let ahead = 0;
  return {
    now: () => systemClock.now() + ahead,
    sleep: async (ms, options) => {
      options?.signal?.throwIfAborted();
      ahead += ms;
      await new Promise((resolve) => setImmediate(resolve));
      options?.signal?.throwIfAborted();
    },
  };
}

/** A server on a fake cloud whose nodes run fake agents. What the cloud and the database hold outlives a crash of the server. */
export interface FakeWorld {
  readonly cloud: FakeCloud;
  readonly fleet: AgentFleet;
  readonly database: OpenDatabase;
  readonly home: string;
  /** Errors of the server's background work, which no test expects. */
  readonly backgroundErrors: unknown[];
  readonly clock: Clock;
  server(): TestServer;
  /** One more server on the same database. */
  another(owner: string): Promise<TestServer>;
  /** Drops everything that a process has in memory. */
  restart(): Promise<void>;
  run<Body, Result>(
    operation: Operation<Body, Result>,
    body: Body,
    options?: TestContextOptions & { readonly requestId?: string },
  ): Promise<{ readonly result: Result; readonly log: MemoryLog; readonly context: OperationContext }>;
  cluster(name: string): Promise<ClusterRow | undefined>;
  clusters(): Promise<readonly ClusterRow[]>;
  close(): Promise<void>;
}

export interface FakeWorldOptions {
  readonly kind?: DatabaseKind;
  /** Passed at everything by which the server acts on the world; what it throws, the server dies of. */
  readonly tripwire?: Pick<Tripwire, "pass" | "plugin">;
  /** Opens the cloud on which the server runs; the fake one, which then stands idle, when absent. */
  readonly openCloud?: (parts: { readonly fleet: AgentFleet; readonly clock: Clock; readonly home: string }) => Cloud;
}

export async function createFakeWorld(
  knobs: Partial<FakeCloudKnobs> = {},
  options: FakeWorldOptions = {},
): Promise<FakeWorld> {
  const fleet = new AgentFleet();
  const clock = hurriedClock();
  const cloud = new FakeCloud({ name: "lambda", knobs, fleet, clock });
  const home = mkdtempSync(join(tmpdir(), "world-"));
  const used = options.openCloud?.({ fleet, clock, home }) ?? cloud;
  const clouds: CloudRegistry = { names: () => [used.name], load: () => Promise.resolve(used) };
  const agentBundle = join(home, "agent.cjs");
  writeFileSync(agentBundle, "// a stand-in for the agent");
  const database = await openTestDatabase(options.kind ?? "sqlite");
  const { tripwire } = options;
  const watched = tripwire === undefined ? database : withPlugin(database, tripwire.plugin);
  if (tripwire !== undefined) {
    cloud.onCall = (method, when) => tripwire.pass(`cloud.${method}:${when}`);
    fleet.onAct = (act) => tripwire.pass(`node.${act}`);
  }
  const backgroundErrors: unknown[] = [];
  const start = (owner?: string): Promise<TestServer> =>
    createTestServer({
      ...(owner === undefined ? {} : { owner }),
      clouds: () => clouds,
      agentBundle,
      home,
      database: watched,
      clock,
      onBackgroundError: (error) => {
        if (!(error instanceof CrashError)) backgroundErrors.push(error);
      },
    });
  const isShared = options.kind === "postgres";
  let server = await start(isShared ? "server-1" : undefined);
  let count = 0;
  return {
    cloud,
    fleet,
    database,
    home,
    backgroundErrors,
    clock,
    server: () => server,
    restart: async () => {
      await server.close();
      server = await start(isShared ? "server-1" : undefined);
    },
    another: (owner) => start(owner),
    run: async (operation, body, options = {}) => {
      count += 1;
      const context = await server.context(options.requestId ?? `request-${count}`, options);
      const result = await operation.run(body, context);
      return { result, log: context.log, context };
    },
    cluster: (name) => findCluster(database.db, name),
    clusters: () => listClusters(database.db),
    close: async () => {
      await server.close();
      await database.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function withPlugin(database: OpenDatabase, plugin: KyselyPlugin): OpenDatabase {
  return {
    ...database,
    db: database.db.withPlugin(plugin),
    durably: (work) => database.durably((db) => work(db.withPlugin(plugin))),
  };
}

/** The process died here. */
export class CrashError extends Error {}

/** Throws CrashError at the `index`-th failpoint (from 0); counts them all. */
export function crashAt(index: number): { readonly pass: PassFailpoint; readonly passed: () => readonly string[] } {
  const names: string[] = [];
  return {
    pass: (effect, point) => {
      names.push(`${effect}:${point}`);
      if (names.length - 1 === index) throw new CrashError(`crashed at ${effect}:${point}`);
    },
    passed: () => names,
  };
}

/** A task file as it comes over the wire. */
export function taskYaml(fields: string, resources = "infra: lambda"): string {
  const indented = resources.split("\n").map((line) => `  ${line}`);
  return `name: hello\n---\nname: hello\nresources:\n${indented.join("\n")}\n${fields}\n`;
}
