import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { firstChildOf, signalProcess } from "../e2e/support/process-tree.ts";
import { startProgram, type RunningProgram, type RunOptions, type RunResult } from "../e2e/support/run-program.ts";

/** The bridge's address: the gateway of every host. */
export const GATEWAY = "10.77.0.1";
/** Where services of "the internet" listen: reached by hosts with egress alone. */
export const OUTSIDE = "198.51.100.1";

const READY_TIMEOUT_MS = 20_000;

export function scriptPath(name: string): string {
  return fileURLToPath(new URL(`scripts/${name}`, import.meta.url));
}

/** The first line that a program prints, `ready <pid>`: the pid of its process 1 as this process sees it. */
export async function readReady(child: ChildProcess, what: string): Promise<number> {
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const { stdout } = child;
  if (stdout === null) throw new Error(`${what} has no output.`);
  const lines = createInterface({ input: stdout });
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS);
  const pid = await Promise.race([
    once(lines, "line", { signal }).then(([line]: unknown[]) => /^ready (\d+)$/u.exec(String(line))?.[1]),
    once(child, "close").then(() => undefined),
  ]).catch(() => undefined);
  if (pid === undefined) throw new Error(`${what} did not come up: ${errors.trim() || "no word from it"}`);
  return Number(pid);
}

/** Starts `nsenter … program`. Signals reach the program: nsenter stays as its parent, for no process changes its own namespace. */
export function startInside(argv: readonly string[], options: Omit<RunOptions, "cwd">): RunningProgram {
  const program = startProgram(argv, { ...options, cwd: "/" });
  return { ...program, kill: (signal) => signalProcess(firstChildOf(program.pid) ?? program.pid, signal) };
}

/**
 * A network, mount and process namespace without a way out. Programs in it see the machine's files; `root` is the same directory
 * on both sides, removed at the end. All of it ends with `dispose`, or with this process.
 */
export class World {
  readonly root: string;
  readonly #child: ChildProcess;
  readonly #pid: number;
  #home: string | undefined;

  private constructor(root: string, child: ChildProcess, pid: number) {
    this.root = root;
    this.#child = child;
    this.#pid = pid;
  }

  static async create(): Promise<World> {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "sky-fleet-")));
    const init = ["bash", scriptPath("world-init.sh"), root, `${GATEWAY}/16`, OUTSIDE];
    const child = spawn("unshare", ["-m", "-n", "-p", "-f", "--kill-child", ...init], { stdio: "pipe" });
    return new World(root, child, await readReady(child, "The fleet's world"));
  }

  /** Where this process finds a path of the world, also one of a mount that exists only there (the hosts' disks). */
  seenFromHere(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  /** The command that runs a program in the world. */
  enter(argv: readonly string[], cwd = this.root): string[] {
    return ["nsenter", "-t", String(this.#pid), "-m", "-n", "-p", `--wdns=${cwd}`, "--", ...argv];
  }

  /** The command that runs a program with the world's network and this machine's own files. */
  enterNetwork(argv: readonly string[]): string[] {
    return ["nsenter", "-t", String(this.#pid), "-n", "--", ...argv];
  }

  /** Starts a program in the world, with exactly the given environment. Signals reach the program itself. */
  start(argv: readonly string[], options: Partial<RunOptions> = {}): RunningProgram {
    const cwd = options.cwd ?? this.root;
    const env = options.env ?? { PATH: process.env["PATH"] ?? "", HOME: this.root, LANG: "C.UTF-8" };
    return startInside(this.enter(argv, cwd), { ...options, env });
  }

  run(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<RunResult> {
    return this.start(argv, options).result;
  }

  /** Like `run`, but a program that fails is an error. Gives its output. */
  async require(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<string> {
    const result = await this.run(argv, options);
    if (result.exitCode === 0) return result.stdout;
    throw new Error(`${argv.join(" ")}: exit code ${result.exitCode}\n${result.stderr}${result.stdout}`);
  }

  /** Makes a directory the home directory of this process's account, inside the world. */
  async setHome(directory: string): Promise<void> {
    if (this.#home === directory) return;
    const { homedir } = userInfo();
    if (this.#home !== undefined) await this.require(["umount", homedir]);
    await this.require(["mount", "--bind", directory, homedir]);
    this.#home = directory;
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, "exit");
    this.#child.stdin?.end();
    await closed;
  }
}
