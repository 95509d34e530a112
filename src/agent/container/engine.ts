import { spawn } from "node:child_process";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";

/** A container engine that works on this machine for this user. */
export interface ContainerEngine {
  readonly kind: "docker" | "podman";
  /** What every call begins with, e.g. `["sudo", "-n", "docker"]`. */
  readonly command: readonly string[];
  /** Whether root in a container is this user outside. */
  readonly isRootless: boolean;
  /** Names of the runtimes that the engine knows besides its own. */
  readonly runtimes: readonly string[];
}

export interface EngineAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface EngineCall {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** A docker that the machine starts at boot may come after us. */
const DAEMON_WAIT_MS = 30_000;
const DAEMON_GAP_MS = 1000;
/** Output that is kept of a call; a pull prints much. */
const MAX_OUTPUT = 1024 * 1024;

/** Runs a command to its end. Code 127: there is no such program. */
export function runCommand(argv: readonly string[], call: EngineCall): Promise<EngineAnswer> {
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: call.env, stdio: ["pipe", "pipe", "pipe"] });
    const parts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        parts[name] = (parts[name] + text).slice(-MAX_OUTPUT);
      });
    }
    child.once("error", (error) => resolve({ code: 127, stdout: "", stderr: error.message }));
    child.once("close", (code) => resolve({ code: code ?? 137, ...parts }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(call.stdin ?? "");
  });
}

export interface FindEngineOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly run?: typeof runCommand;
  readonly uid?: number;
}

/** Docker when it answers (with `sudo -n` where only root may ask), else podman. Throws CONTAINER_FAILED that says why none does. */
export async function findEngine(options: FindEngineOptions): Promise<ContainerEngine> {
  const { env, clock, run = runCommand, uid = process.getuid?.() ?? 0 } = options;
  const deadline = clock.now() + DAEMON_WAIT_MS;
  const podman = await run(["podman", "--version"], { env });
  for (;;) {
    const docker = await askDocker(["docker"], { env, run });
    if ("engine" in docker) return docker.engine;
    if (/permission denied/i.test(docker.reason)) {
      const asRoot = await askDocker(["sudo", "-n", "docker"], { env, run });
      if ("engine" in asRoot) return asRoot.engine;
    }
    if (podman.code === 0) return { kind: "podman", command: ["podman"], isRootless: uid !== 0, runtimes: [] };
    if (!docker.isInstalled) throw noEngine("it has neither docker nor podman.");
    if (!/cannot connect/i.test(docker.reason) || clock.now() >= deadline) {
      throw noEngine(`docker does not answer (${docker.reason}), and there is no podman.`);
    }
    await clock.sleep(DAEMON_GAP_MS);
  }
}

function noEngine(why: string): AgentPeerError {
  return new AgentPeerError("CONTAINER_FAILED", `The node cannot run containers: ${why}`, {
    hint: "Install docker or podman on the node and let its user run it, or launch without image_id: docker:….",
  });
}

type DockerAnswer = { readonly engine: ContainerEngine } | { readonly reason: string; readonly isInstalled: boolean };

async function askDocker(
  command: readonly string[],
  tools: { readonly env: Readonly<Record<string, string>>; readonly run: typeof runCommand },
): Promise<DockerAnswer> {
  const { env, run } = tools;
  const answer = await run([...command, "info", "--format", "{{json .}}"], { env });
  if (answer.code === 127) return { reason: "not installed", isInstalled: false };
  const info = readInfo(answer.stdout);
  if (answer.code === 0 && info?.isServer === true) {
    return { engine: { kind: "docker", command, isRootless: info.isRootless, runtimes: info.runtimes } };
  }
  // The client prints what it knows of itself even when no daemon answers.
  const reason = answer.stderr.trim() || info?.errors || `docker info ended with ${answer.code}`;
  return { reason: lastLine(reason), isInstalled: true };
}

interface DockerInfo {
  readonly isServer: boolean;
  readonly isRootless: boolean;
  readonly runtimes: readonly string[];
  readonly errors: string;
}

function readInfo(text: string): DockerInfo | undefined {
  try {
    const info = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const security = Array.isArray(info["SecurityOptions"]) ? info["SecurityOptions"].join(" ") : "";
    const errors = Array.isArray(info["ServerErrors"]) ? info["ServerErrors"].join(" ") : "";
    return {
      isServer: typeof info["ServerVersion"] === "string" && info["ServerVersion"] !== "" && errors === "",
      isRootless: security.includes("rootless"),
      runtimes: Object.keys(info["Runtimes"] ?? {}),
      errors,
    };
  } catch {
    // The shim that stands in for docker where only podman is installed, or no output at all.
    return undefined;
  }
}

/** The line of a program's errors that says most. */
export function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
