import { SERVER_NODE_FLAGS, serverEnvironment } from "../src/platform/server-flags.ts";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { signalProcess } from "../test/e2e/support/process-tree.ts";
import { ReferenceServer } from "../test/e2e/support/reference-server.ts";
import type { Reference } from "../test/e2e/support/reference.ts";
import { runProgram } from "../test/e2e/support/run-program.ts";
import { repoRoot, Sandbox } from "../test/e2e/support/sandbox.ts";
import type { World } from "./cli-measure.ts";
import type { IdleAgent } from "./idle-agents.ts";

const START_TIMEOUT_MS = 30_000;

function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port }, () => {
      socket.write("GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    });
    socket.once("data", (data: Buffer) => {
      socket.destroy();
      resolve(data.toString("latin1").startsWith("HTTP/1.1 200"));
    });
    socket.once("error", () => resolve(false));
  });
}

/** Our server in a sandbox that is kept: it can be stopped and started again on the same state. */
export class OurServer {
  readonly sandbox: Sandbox;
  #pid: number | undefined;

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  static async create(): Promise<OurServer> {
    return new OurServer(await Sandbox.create());
  }

  /** Starts the server; gives the milliseconds from spawning it to its first healthy answer. */
  async start(): Promise<number> {
    const { sandbox } = this;
    mkdirSync(join(sandbox.home, ".sky/ts"), { recursive: true });
    const log = openSync(join(sandbox.root, "server.log"), "a");
    const entry = join(repoRoot, "dist/server/main.mjs");
    const started = performance.now();
    const child = spawn(process.execPath, [...SERVER_NODE_FLAGS, entry, "--host=127.0.0.1", `--port=${sandbox.port}`], {
      env: serverEnvironment(sandbox.env()),
      cwd: sandbox.home,
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    this.#pid = child.pid;
    while (!(await isHealthy(sandbox.port))) {
      if (performance.now() - started > START_TIMEOUT_MS)
        throw new Error(`Our server did not start; see ${sandbox.root}.`);
      await delay(2);
    }
    return performance.now() - started;
  }

  async stop(): Promise<void> {
    if (this.#pid !== undefined) signalProcess(this.#pid, "SIGTERM");
    while (this.sandbox.serverProcesses().length > 0) await delay(10);
    this.#pid = undefined;
  }

  /** Starts what stands in for the agents of seeded clusters; it ends with the sandbox. */
  async startIdleAgents(agents: readonly IdleAgent[]): Promise<void> {
    const file = join(this.sandbox.root, "idle-agents.json");
    writeFileSync(file, JSON.stringify(agents));
    const script = join(repoRoot, "bench/idle-agents.ts");
    const child = spawn(process.execPath, [script, file, join(repoRoot, "dist/agent/agent.cjs")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    if (child.exitCode !== null) throw new Error("The idle agents did not start.");
    child.stdout.destroy();
    child.unref();
  }

  world(startMs: number): World {
    const { sandbox } = this;
    return {
      name: "ours",
      port: sandbox.port,
      sky: [process.execPath, join(repoRoot, "bin/sky.cjs")],
      startMs,
      run: (argv, options = {}) =>
        runProgram(argv, { ...options, cwd: sandbox.work, env: { ...sandbox.env(), ...options.env } }),
      residentBytes: async () => sandbox.serverProcesses().reduce((sum, { rssKib }) => sum + rssKib * 1024, 0),
      stop: () => sandbox.dispose(),
    };
  }
}

/** The original, in its own namespaces. */
export async function startOriginalWorld(reference: Reference): Promise<{ world: World; server: ReferenceServer }> {
  const server = await ReferenceServer.start(reference);
  const world: World = {
    name: "original",
    port: 46580,
    sky: [reference.sky],
    startMs: server.startMs,
    run: (argv, options = {}) =>
      server.run(argv, { ...options, env: { SKYPILOT_DISABLE_USAGE_COLLECTION: "1", ...options.env } }),
    residentBytes: () => server.residentBytes(),
    stop: () => server.stop(),
  };
  return { world, server };
}
