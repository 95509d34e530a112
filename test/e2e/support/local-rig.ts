import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCloudRegistry } from "../../../src/clouds/registry.ts";
import { openCatalogs } from "../../support/catalogs.ts";
import { streamJobLogs } from "../../../src/core/clusters/logs.ts";
import type { Operation } from "../../../src/core/operation.ts";
import { operations } from "../../../src/core/operations.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { findCluster, type ClusterRow } from "../../../src/db/queries/clusters.ts";
import { createTestServer, type TestServer } from "../../fakes/operation-context.ts";

const built = fileURLToPath(new URL("../../../dist/agent/agent.cjs", import.meta.url));

/** Cluster `c1` on this machine with real agents, and a server without HTTP that can be replaced by another. */
export interface LocalRig {
  readonly home: string;
  server(): TestServer;
  /** Ends the server; its clusters go on. */
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  /** Makes the program of the agents another one, which does the same. */
  installRelease(comment: string): void;
  run<Body, Result>(operation: Operation<Body, Result>, body: Body): Promise<Result>;
  launch(script: string, nodes?: number): Promise<{ readonly job_id: number | null }>;
  readLog(jobId: number): Promise<{ readonly bytes: Buffer; readonly exitCode: number }>;
  cluster(): Promise<ClusterRow | undefined>;
  nodeDirectory(index: number): string;
  close(): Promise<void>;
}

export async function createLocalRig(): Promise<LocalRig> {
  const home = mkdtempSync(join(tmpdir(), "rig-"));
  const agentBundle = join(home, "agent.cjs");
  copyFileSync(built, agentBundle);
  const database = await openDatabase({ sqlite: ":memory:" });
  const open = (): Promise<TestServer> =>
    createTestServer({
      agentBundle,
      clouds: (base) =>
        createCloudRegistry({ home: base, env: process.env, catalogs: openCatalogs(base), agentBundle }),
      home,
      database,
    });
  let server = await open();
  let requests = 0;
  const context = (): ReturnType<TestServer["context"]> => {
    requests += 1;
    return server.context(`r${requests}`);
  };
  const run = async <Body, Result>(operation: Operation<Body, Result>, body: Body): Promise<Result> =>
    operation.run(body, await context());
  return {
    home,
    server: () => server,
    stopServer: () => server.close(),
    startServer: async () => {
      server = await open();
    },
    installRelease: (comment) => writeFileSync(agentBundle, `${readFileSync(built, "utf8")}\n// ${comment}\n`),
    run,
    launch: (script, nodes = 1) => {
      const task = `name: t\nnum_nodes: ${nodes}\nresources:\n  infra: local\nrun: |\n  ${script}\n`;
      return run(operations.launch, { task, cluster_name: "c1" });
    },
    readLog: async (jobId) => {
      const stream = await streamJobLogs({ cluster_name: "c1", job_id: jobId }, await context());
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream.chunks) chunks.push(chunk);
      return { bytes: Buffer.concat(chunks), exitCode: (await stream.end).exitCode };
    },
    cluster: () => findCluster(database.db, "c1"),
    nodeDirectory: (index) => {
      const root = join(home, ".sky", "local");
      return join(root, readdirSync(root)[0] ?? "", `node${index}`);
    },
    close: async () => {
      if ((await findCluster(database.db, "c1")) !== undefined) {
        await run(operations.down, { cluster_name: "c1", purge: true });
      }
      await server.close();
      await database.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
