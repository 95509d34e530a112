import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { unmountBelow } from "../../../src/platform/mounts.ts";
import { killProcessesOf, processesOf, signalProcess, type ProcessInfo } from "./process-tree.ts";
import type { Reference } from "./reference.ts";
import { startProgram, type RunningProgram, type RunOptions, type RunResult } from "./run-program.ts";
import { waitFor } from "./wait-for.ts";
import { freePort } from "../../support/free-port.ts";

export const repoRoot = fileURLToPath(new URL("../../..", import.meta.url));

const skyEntry = join(repoRoot, "bin/sky.cjs");
/** How long a server that is to die by itself may take to get there. */
const DEATH_MS = 120_000;

export type CommandOptions = Partial<RunOptions>;

/** Where a sandbox's programs run when not simply on this machine, e.g. in the network of a fleet. */
export interface Place {
  /** Directory in which the sandbox makes its own; both sides see it. */
  readonly root: string;
  start(argv: readonly string[], options: RunOptions): RunningProgram;
}

/**
 * A user of one test file: a HOME with its own API server on its own port. Everything that is started in it carries the path of
 * its directory, by which `dispose` finds and ends all of it: servers, agents, jobs.
 */
export class Sandbox {
  /** Parent of everything below. */
  readonly root: string;
  /** HOME of our CLI and server. */
  readonly home: string;
  /** Working directory of commands. */
  readonly work: string;
  readonly port: number;
  readonly url: string;
  readonly #start: Place["start"];

  private constructor(root: string, port: number, start: Place["start"]) {
    this.root = root;
    this.#start = start;
    this.home = join(root, "home");
    this.work = join(root, "work");
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    mkdirSync(this.home);
    mkdirSync(this.work);
  }

  static async create(place?: Place): Promise<Sandbox> {
    const root = realpathSync(mkdtempSync(join(place?.root ?? tmpdir(), "sky-e2e-")));
    return new Sandbox(root, await freePort(), place?.start.bind(place) ?? startProgram);
  }

  /** Runs any program where the sandbox's own run. */
  start(argv: readonly string[], options: CommandOptions = {}): RunningProgram {
    return this.#start(argv, this.#fill(options));
  }

  /** The environment of commands: nothing of the machine's but PATH and the runtime's certificates. */
  env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PATH: `${join(repoRoot, "node_modules/.bin")}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
      HOME: this.home,
      LANG: "C.UTF-8",
      SKYPILOT_API_SERVER_LOCAL_PORT: String(this.port),
      SKYPILOT_DISABLE_USAGE_COLLECTION: "1",
      ...extra,
    };
  }

  /** Writes a file below the working directory and gives its absolute path. */
  write(path: string, text: string): string {
    const file = join(this.work, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** Runs our built CLI to its end. */
  sky(args: readonly string[], options: CommandOptions = {}): Promise<RunResult> {
    return this.startSky(args, options).result;
  }

  /** Starts our built CLI and leaves it running. */
  startSky(args: readonly string[], options: CommandOptions = {}): RunningProgram {
    return this.start([process.execPath, skyEntry, ...args], options);
  }

  /** Starts our API server and waits until it answers. */
  async startServer(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const result = await this.sky(["api", "start"], { env: this.env(env) });
    if (result.exitCode !== 0) throw new Error(`sky api start: ${result.stdout}${result.stderr}`);
  }

  /** The API server's processes; one when it runs. */
  serverProcesses(): ProcessInfo[] {
    return this.processes().filter(({ argv }) => argv.some((word) => word.endsWith("server/main.mjs")));
  }

  /** Kills the API server without warning and waits until it is gone. */
  async killServer(): Promise<void> {
    const victims = this.serverProcesses();
    const death = this.watchServer();
    for (const { pid } of victims) signalProcess(pid, "SIGKILL");
    await death("the killed server to be gone");
    if (victims.length === 0) throw new Error("There was no server to kill.");
  }

  /**
   * Waits, when it is called, until the server that runs now is gone. A client that finds none starts the next at once, perhaps before
   * anybody has seen that there was none.
   */
  watchServer(): (what: string) => Promise<true> {
    const doomed = new Set(this.serverProcesses().map(({ pid }) => pid));
    const isGone = (): boolean => !this.serverProcesses().some(({ pid }) => doomed.has(pid));
    return (what) => waitFor(what, () => isGone(), { timeoutMs: DEATH_MS });
  }

  /** Everything that runs in this sandbox. */
  processes(): ProcessInfo[] {
    return processesOf(this.root);
  }

  /** Ends everything that runs in the sandbox and removes its directory. */
  async dispose(): Promise<void> {
    await killProcessesOf(this.root);
    await unmountBelow(this.root);
    rmSync(this.root, { recursive: true, force: true });
  }

  #fill(options: CommandOptions): RunOptions {
    return { cwd: this.work, ...options, env: options.env ?? this.env() };
  }
}

/** The official client as a user of a sandbox's server. */
export class OfficialClient {
  readonly home: string;
  readonly #sandbox: Sandbox;
  readonly #reference: Reference;
  readonly #isRemote: boolean;

  /** `remote`: the client takes the server for one on another machine, so it uploads files and has a HOME of its own. */
  constructor(sandbox: Sandbox, reference: Reference, options: { readonly remote: boolean }) {
    this.#sandbox = sandbox;
    this.#reference = reference;
    this.#isRemote = options.remote;
    this.home = options.remote ? join(sandbox.root, "client-home") : sandbox.home;
    mkdirSync(this.home, { recursive: true });
  }

  env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    const env = this.#sandbox.env({ HOME: this.home, SKYPILOT_API_SERVER_ENDPOINT: this.#sandbox.url });
    // With another local port than the endpoint's, the endpoint is not this machine's own server.
    if (this.#isRemote) delete env["SKYPILOT_API_SERVER_LOCAL_PORT"];
    return { ...env, SKYPILOT_DISABLE_LOCAL_API_SERVER: "1", PYTHONUNBUFFERED: "1", ...extra };
  }

  /** Runs the official `sky`. */
  sky(args: readonly string[], options: CommandOptions = {}): Promise<RunResult> {
    return this.startSky(args, options).result;
  }

  startSky(args: readonly string[], options: CommandOptions = {}): RunningProgram {
    return this.#sandbox.start([this.#reference.sky, ...args], this.#fill(options));
  }

  /** Runs a Python script against the official SDK. */
  python(script: string, options: CommandOptions = {}): Promise<RunResult> {
    return this.#sandbox.start([this.#reference.python, "-c", script], this.#fill(options)).result;
  }

  #fill(options: CommandOptions): CommandOptions {
    return { ...options, env: options.env ?? this.env() };
  }
}
