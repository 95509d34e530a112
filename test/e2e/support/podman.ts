import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot, type Sandbox } from "./sandbox.ts";

/** Why containers cannot be tested here; undefined when they can. */
export function whyNoPodman(): string | undefined {
  if (process.getuid?.() !== 0) return "only root may mount a cgroup file system for the containers";
  try {
    execFileSync("podman", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "podman is not installed";
  }
}

/**
 * A podman of the sandbox's own: its images and containers lie in the sandbox, and every call is written down. It runs without limits on
 * resources and in a mount namespace with a cgroup file system of version 2, so that it works on machines that grant neither.
 */
export class SandboxPodman {
  readonly #sandbox: Sandbox;
  readonly #bin: string;
  readonly #calls: string;
  /** Further variables of the server and its clients. */
  extraEnv: Readonly<Record<string, string>> = {};

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    this.#bin = join(sandbox.root, "bin");
    this.#calls = join(sandbox.root, "podman-calls");
    mkdirSync(this.#bin);
    const config = (name: string, text: string): void => writeFileSync(join(sandbox.root, name), text);
    config(
      "containers.conf",
      '[containers]\ncgroups = "disabled"\ndefault_ulimits = ["nofile=1024:1024", "nproc=4000:4000"]\n' +
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
    );
    const [graph, run] = [join(sandbox.root, "images"), join(sandbox.root, "run")];
    config("storage.conf", `[storage]\ndriver = "vfs"\ngraphroot = "${graph}"\nrunroot = "${run}"\n`);
    config("registries.conf", "");
    const env = join(sandbox.root, "podman-env");
    const logged = `printf '%s\\n' "$*" >>${this.#calls}`;
    this.#program("podman", `${logged}\n[ ! -f ${env} ] || . ${env}\nexec ${whichPodman()} "$@"`);
    // The machine's docker is not part of these tests.
    this.#program("docker", "exit 127");
  }

  env(): Record<string, string> {
    const env = this.#sandbox.env({
      CONTAINERS_CONF: join(this.#sandbox.root, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(this.#sandbox.root, "storage.conf"),
      CONTAINERS_REGISTRIES_CONF: join(this.#sandbox.root, "registries.conf"),
      ...this.extraEnv,
    });
    return { ...env, PATH: `${this.#bin}:${env["PATH"]}` };
  }

  allowPlainHttp(registry: string): void {
    const text = `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`;
    writeFileSync(join(this.#sandbox.root, "registries.conf"), text);
  }

  /** Has a registry of any name answered by the server at `address`; nothing is asked of the real one. */
  answerFor(registry: string, address: string): void {
    this.allowPlainHttp(registry);
    const proxies = `HTTP_PROXY=http://${address} HTTPS_PROXY=http://127.0.0.1:1`;
    writeFileSync(join(this.#sandbox.root, "podman-env"), `export ${proxies}\n`);
  }

  /** Starts the sandbox's API server where podman works. */
  startServer(): void {
    const script =
      'umount --lazy /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup || exit 1; exec "$@"';
    const server = [process.execPath, join(repoRoot, "bin/sky.cjs"), "api", "start"];
    this.#execute(["unshare", "--mount", "/bin/sh", "-c", script, "sh", ...server]);
  }

  /** Runs podman where the server runs. */
  run(...args: readonly string[]): string {
    const pid = this.#sandbox.serverProcesses()[0]?.pid ?? 0;
    return this.#execute(["nsenter", `--mount=/proc/${pid}/ns/mnt`, "podman", ...args]);
  }

  /** All calls so far, one a line. */
  calls(): string {
    return readFileSync(this.#calls, "utf8");
  }

  #execute([program = "", ...args]: readonly string[]): string {
    return execFileSync(program, args, {
      env: this.env(),
      cwd: this.#sandbox.work,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  }

  #program(name: string, body: string): void {
    const path = join(this.#bin, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
  }
}

function whichPodman(): string {
  return execFileSync("/bin/sh", ["-c", "command -v podman"], { encoding: "utf8" }).trim();
}
