import type { Duplex } from "node:stream";
import { randomBytes } from "node:crypto";
import { AgentError, AgentNotRunningError, OperationFailedError } from "../../shared/errors.ts";
import type { RunOptions, RunResult, Runner } from "../../core/ports/runner.ts";
import { duplexOfChild } from "./child-duplex.ts";
import type { SessionOptions, SshConnections } from "./connections.ts";
import { startScript } from "./install-script.ts";
import { installOn, type InstallTools } from "./install.ts";
import { readUntilMarker } from "./marker.ts";
import { withWaitSignal } from "./outlive.ts";
import { shellQuote } from "../../shared/shell-quote.ts";
import { assignments, quotePath } from "./remote-script.ts";
import type { SshTarget } from "./target.ts";

export interface SshRunnerOptions extends InstallTools {
  readonly target: SshTarget;
  /** Whether the node may fetch the runtime from the npm registry by itself; otherwise it comes over the connection. */
  readonly mayFetch?: boolean;
  /** How long the machine may still be booting: until then refusals are repeated. */
  readonly bootWaitMs?: number;
}

/** Acts on a machine by OpenSSH. All runners of one `SshConnections` with the same target share one connection. */
export function createSshRunner(options: SshRunnerOptions): Runner {
  const { target, connections } = options;
  const session = (signal: AbortSignal | undefined): SessionOptions => ({ signal, bootWaitMs: options.bootWaitMs });
  return {
    run: (argv, run = {}) => runProgram(argv, { target, connections }, run),
    startAgent: async (plan, start = {}) => {
      const request = {
        installDir: plan.installDir,
        bundle: plan.bundle,
        mayFetch: options.mayFetch ?? true,
        files: [{ name: "node.json", bytes: plan.config }],
        script: startScript(plan.root),
      };
      await installOn(target, request, options, session(start.signal));
    },
    // Others share the connection with whoever asks for it first.
    connectAgent: (root, { waitMs = 0, signal } = {}) =>
      withWaitSignal(signal, (waitSignal) => reachAgent(root, options, { waitMs, signal: waitSignal })),
    close: () => connections.close(target),
  };
}

interface Host {
  readonly target: SshTarget;
  readonly connections: SshConnections;
}

/**
 * The environment and the input go over the connection, not into the host's process list. A program that ends with 255 counts as
 * 254, because 255 is how ssh says that the connection broke.
 */
async function runProgram(argv: readonly string[], host: Host, options: RunOptions): Promise<RunResult> {
  const { timeoutMs } = options;
  const deadline = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signals = [options.signal, deadline].filter((one) => one !== undefined);
  const signal = AbortSignal.any(signals);
  const session = await host.connections.open(host.target, programScript(argv, options), { signal });
  const { child } = session;
  const stdout: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stdout.resume();
  child.stdin.end(options.stdin ?? "");
  const ended = new Promise<void>((resolve) => child.stdout.once("close", resolve));
  const exitCode = await session.exited.catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  signal.throwIfAborted();
  await ended;
  if (exitCode === 255) throw new AgentError(`The SSH connection to ${host.target.host} was lost.`);
  return { exitCode, stdout: Buffer.concat(stdout).toString(), stderr: session.scriptErrors() };
}

function programScript(argv: readonly string[], { env = {}, cwd }: RunOptions): string {
  const names = Object.keys(env);
  return [
    ...(cwd === undefined ? [] : [`cd ${quotePath(cwd)} || exit 1`]),
    assignments(env),
    ...(names.length === 0 ? [] : [`export ${names.join(" ")}`]),
    argv.map(shellQuote).join(" "),
    "C=$?\n[ $C -ne 255 ] || C=254\nexit $C",
  ].join("\n");
}

async function reachAgent(
  root: string,
  { target, connections }: Host,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<Duplex> {
  const ready = `READY-${randomBytes(12).toString("hex")}`;
  const file = quotePath(`${root}/connect`);
  const script = `[ -f ${file} ] || exit 3\nexec /bin/sh ${file} --ready ${ready} --wait ${Math.ceil(waitMs)}`;
  const session = await connections.open(target, script, { signal });
  if (await readUntilMarker(session.child.stdout, ready)) return duplexOfChild(session.child);
  const code = await session.exited.catch(() => 255);
  signal.throwIfAborted();
  if (code === 255) throw new AgentError(`The SSH connection to ${target.host} was lost.`);
  const said = session.scriptErrors().trim();
  throw new AgentNotRunningError(`No agent listens in ${root} on ${target.host}.`, {
    cause: new OperationFailedError(said === "" ? `connect ended with exit code ${code}` : said),
  });
}
