import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, closeSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstChildOf, killProcessesOf } from "./process-tree.ts";
import type { Reference } from "./reference.ts";
import { runProgram, type RunOptions, type RunResult } from "./run-program.ts";
import { waitFor } from "./wait-for.ts";

const PORT = 46580;

/**
 * The official API server, in a network and process namespace of its own: its stop command looks for servers among all processes
 * that it can see. Needs root. Commands enter the same namespaces by `run`.
 */
export class ReferenceServer {
  readonly root: string;
  readonly home: string;
  readonly url = `http://127.0.0.1:${PORT}`;
  /** From spawning the server to its first healthy answer. */
  readonly startMs: number;
  readonly #child: ChildProcess;
  readonly #initPid: number;

  private constructor(root: string, home: string, child: ChildProcess, initPid: number, startMs: number) {
    this.root = root;
    this.home = home;
    this.#child = child;
    this.#initPid = initPid;
    this.startMs = startMs;
  }

  /** Starts the server and waits until it is healthy (about 8 s on an idle machine, 60 s at most). */
  static async start(reference: Reference): Promise<ReferenceServer> {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "sky-reference-")));
    const home = join(root, "home");
    mkdirSync(home);
    const log = openSync(join(root, "server.log"), "w");
    const serve = `ip link set lo up; "$@" & wait`;
    const server = [reference.python, "-m", "sky.server.server", "--host=127.0.0.1", `--port=${PORT}`];
    const started = performance.now();
    const child = spawn(
      "unshare",
      ["-n", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c", serve, "serve", ...server],
      {
        env: { PATH: process.env["PATH"] ?? "", HOME: home, LANG: "C.UTF-8", SKYPILOT_DISABLE_USAGE_COLLECTION: "1" },
        stdio: ["ignore", log, log],
      },
    );
    closeSync(log);
    const unsharePid = child.pid ?? 0;
    const initPid = await waitFor("the namespace", () => firstChildOf(unsharePid));
    const world = new ReferenceServer(root, home, child, initPid, 0);
    const probe = ["curl", "-s", "-f", "-m", "1", `${world.url}/api/health`];
    await waitFor("the official server to be healthy", async () => (await world.run(probe)).exitCode === 0, {
      timeoutMs: 90_000,
    });
    return new ReferenceServer(root, home, child, initPid, performance.now() - started);
  }

  /** Runs a program that sees the server at `url` and no other network. */
  run(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<RunResult> {
    const enter = ["nsenter", "-t", String(this.#initPid), "-n", "-p", "-m", `--wd=${options.cwd ?? this.root}`, "--"];
    return runProgram([...enter, ...argv], {
      ...options,
      cwd: this.root,
      env: { PATH: process.env["PATH"] ?? "", HOME: this.home, LANG: "C.UTF-8", ...options.env },
    });
  }

  /** Resident memory of the server's processes together, in bytes. */
  async residentBytes(): Promise<number> {
    const { stdout } = await this.run(["ps", "-e", "-o", "rss=,args="]);
    const lines = stdout.split("\n").filter((line) => /python|sky/iu.test(line) && !/bash -c|ps -e/u.test(line));
    return lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/u)[0] ?? 0) * 1024, 0);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await killProcessesOf(this.root);
    rmSync(this.root, { recursive: true, force: true });
  }
}
