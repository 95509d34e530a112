import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { duplexOverStream } from "../../src/shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../src/shared/agent/peer.ts";
import type { JobRecord, JobStatus, NodeConfig, SubmitParams } from "../../src/shared/agent/protocol.ts";
import { agentSocketPath } from "../../src/shared/agent/socket-path.ts";
import { TERMINAL_JOB_STATUSES } from "../../src/shared/agent/protocol.ts";

export const AGENT_BUNDLE = fileURLToPath(new URL("../../dist/agent/agent.cjs", import.meta.url));

/** Resolves when the predicate holds; rejects after the time-out with what was waited for. */
export async function waitUntil<T>(
  what: string,
  predicate: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await predicate();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface RigOptions {
  readonly numNodes?: number;
  readonly config?: Partial<NodeConfig>;
  readonly env?: Readonly<Record<string, string>>;
  /** Command that runs Node, instead of the one that runs the test. */
  readonly runtime?: readonly string[] | undefined;
}

/** One agent of the rig: its directory, its process and a connection to it. */
export class RigNode {
  readonly root: string;
  readonly home: string;
  readonly config: NodeConfig;
  readonly #env: Readonly<Record<string, string>>;
  readonly #runtime: readonly string[];
  process: ChildProcess | undefined;
  #peer: Promise<AgentPeer> | undefined;

  constructor(directory: string, config: NodeConfig, { env = {}, runtime = [process.execPath] }: RigOptions) {
    this.root = join(directory, "agent");
    this.home = config.home;
    this.config = config;
    this.#env = env;
    this.#runtime = runtime;
    mkdirSync(this.root, { recursive: true });
    this.writeConfig({});
  }

  writeConfig(fields: Partial<NodeConfig>): void {
    writeFileSync(join(this.root, "node.json"), JSON.stringify({ ...this.config, ...fields }), { mode: 0o600 });
  }

  start(): void {
    const { PATH = "" } = process.env;
    const [program = "", ...words] = this.#runtime;
    this.process = spawn(program, [...words, AGENT_BUNDLE, "daemon", "--root", this.root], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { PATH, ...this.#env },
    });
  }

  /** Kills the agent, and only it, at once. */
  async kill(): Promise<void> {
    const child = this.process;
    this.process = undefined;
    void this.#peer?.then((peer) => peer.close());
    this.#peer = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async exited(): Promise<number | null> {
    const child = this.process;
    if (child === undefined) return null;
    if (child.exitCode !== null) return child.exitCode;
    return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  }

  /** A new connection, as soon as the agent listens. */
  async dial(): Promise<AgentPeer> {
    const path = agentSocketPath(this.root, process.getuid?.() ?? 0);
    const socket = await waitUntil("the agent's socket", () => tryConnect(path));
    return new AgentPeer(duplexOverStream(socket), { role: "dialer", keepaliveMs: 0 });
  }

  /** One connection for all who ask, renewed when it is lost. */
  async peer(): Promise<AgentPeer> {
    const dialled = (this.#peer ??= this.dial());
    const peer = await dialled;
    if (!peer.isClosed) return peer;
    if (this.#peer === dialled) this.#peer = undefined;
    return this.peer();
  }

  /** CPU time of the agent so far, without its children: comparable also when the machine is busy. */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.process?.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  log(): string {
    const path = join(this.root, "agent.log");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}

/** A cluster of real agents in temporary directories on this machine. */
export class Rig {
  readonly directory: string;
  readonly nodes: readonly RigNode[];

  private constructor(directory: string, nodes: readonly RigNode[]) {
    this.directory = directory;
    this.nodes = nodes;
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    const directory = mkdtempSync(join(tmpdir(), "agent-rig-"));
    const { numNodes = 1 } = options;
    const token = randomUUID().replaceAll("-", "").repeat(2);
    const nodes = Array.from({ length: numNodes }, (_, index) => {
      const config: NodeConfig = {
        clusterName: "t1",
        clusterNameOnCloud: "t1-abcd1234",
        clusterToken: token,
        index,
        numNodes,
        ip: `127.0.0.${index + 1}`,
        resources: { cpus: 2, memoryGib: 8, accelerators: {} },
        home: join(directory, `node${index}`, "home"),
        power: "leave",
        clusterInfo: '{"cluster_name": "t1", "cloud": "Local", "region": "local", "zone": null}',
        ...options.config,
      };
      return new RigNode(join(directory, `node${index}`), config, options);
    });
    const rig = new Rig(directory, nodes);
    rig.head.start();
    const { workerPort } = await (await rig.head.peer()).call("hello", { protocol: 1 });
    for (const node of nodes.slice(1)) {
      node.writeConfig({ head: { host: rig.head.config.ip, port: workerPort } });
      node.start();
    }
    await rig.allJoined();
    return rig;
  }

  get head(): RigNode {
    const [head] = this.nodes;
    if (head === undefined) throw new Error("A rig has at least one node.");
    return head;
  }

  async allJoined(): Promise<void> {
    await waitUntil("all workers", async () => {
      const { nodes } = await (await this.head.peer()).call("hello", { protocol: 1 });
      return nodes.filter((node) => node.isAlive).length === this.nodes.length;
    });
  }

  async submit(fields: Partial<SubmitParams>): Promise<number> {
    const params: SubmitParams = {
      key: randomUUID(),
      name: "task",
      userHash: "abcd1234",
      userName: "ada",
      runTimestamp: "sky-2026-11-22-00-00-00-000000",
      numNodes: 1,
      demand: { accelerators: {} },
      resourcesText: "1x[CPU:1+]",
      envs: {},
      secrets: {},
      metadata: {},
      gracePeriodSeconds: 2,
      ...fields,
    };
    return (await (await this.head.peer()).call("submit", params)).jobId;
  }

  async job(jobId: number): Promise<JobRecord> {
    const { jobs } = await (await this.head.peer()).call("queue", { jobIds: [jobId] });
    const [job] = jobs;
    if (job === undefined) throw new Error(`There is no job ${jobId}.`);
    return job;
  }

  async reaches(jobId: number, status: JobStatus): Promise<JobRecord> {
    return waitUntil(`job ${jobId} to be ${status}`, async () => {
      const job = await this.job(jobId);
      if (job.status !== status && TERMINAL_JOB_STATUSES.has(job.status)) {
        throw new Error(`Job ${jobId} is ${job.status}: ${await this.logs(jobId)}`);
      }
      return job.status === status && job;
    });
  }

  async ends(jobId: number): Promise<JobRecord> {
    return waitUntil(`the end of job ${jobId}`, async () => {
      const job = await this.job(jobId);
      return TERMINAL_JOB_STATUSES.has(job.status) && job;
    });
  }

  /** The job's log, followed to its end unless told otherwise, without colours. */
  async logs(
    jobId: number | null,
    options: { readonly follow?: boolean; readonly tail?: number } = {},
  ): Promise<string> {
    const { follow = true, tail = 0 } = options;
    const stream = (await this.head.peer()).open("logs", { jobId, follow, tail });
    const parts: Uint8Array[] = [];
    for await (const chunk of stream.chunks) parts.push(chunk);
    await stream.end;
    return plain(Buffer.concat(parts).toString());
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) {
      if (node.process !== undefined && node.process.exitCode === null) {
        // Ends tasks that a test left running.
        const key = randomUUID();
        const peer = await node.peer().catch(() => undefined);
        await peer?.call("shutdown", { key, jobs: "kill" }).catch(() => undefined);
      }
      await node.kill();
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A text without colours. */
export function plain(text: string): string {
  return text.replaceAll(/\u001b\[\d+m/g, "");
}

/** Lines of a log that ranks wrote, without the agent's own first two, and with pids made equal. */
export function ranksLines(log: string): string[] {
  return log
    .split("\n")
    .slice(2, -1)
    .map((line) => line.replaceAll(/pid=\d+/g, "pid=N"));
}
