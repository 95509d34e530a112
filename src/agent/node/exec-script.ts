import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import { isVariableName } from "../tasks/prologue.ts";
import { killTree } from "../tasks/kill-tree.ts";
import type { NodeExec } from "./cluster-node.ts";

export interface ExecScriptOptions {
  readonly home: string;
  /** Environment to start from. */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Runs the script in the node's container instead. */
  readonly container?: ScriptContainer | undefined;
}

/** What a script needs of the node's container. */
export interface ScriptContainer {
  ensureRunning(): Promise<void>;
  shellCommand(variables: Readonly<Record<string, string>>): {
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
  kill(marker: string, graceMs: number): Promise<void>;
}

/** Exit code of a script that ran out of time, as timeout(1) has it. */
const TIMEOUT_CODE = 124;
const GRACE_MS = 2000;

/** Runs a bash script in HOME to its end, output passed on as it comes; ends its whole tree on abort and time-out. Returns its exit code. */
export async function execScript(request: NodeExec, options: ExecScriptOptions): Promise<number> {
  for (const name of Object.keys(request.env)) {
    if (!isVariableName(name)) throw new AgentPeerError("BAD_PARAMS", `${JSON.stringify(name)} cannot be a variable.`);
  }
  const marker = ["SKYPILOT_AGENT_TASK", randomUUID()] as const;
  // The script comes on stdin: it may hold a token, and arguments can be seen by everybody on the machine.
  const { container } = options;
  await container?.ensureRunning();
  const inside = container?.shellCommand({ ...request.env, [marker[0]]: marker[1] });
  const [program = "/bin/bash", ...args] = inside?.argv ?? ["/bin/bash", "-s"];
  const child = spawn(program, args, {
    cwd: options.home,
    env: { ...(inside?.env ?? { ...options.env, ...request.env }), [marker[0]]: marker[1] },
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const exited = new Promise<number>((resolve, reject) => {
    child.once("error", (error) => {
      reject(new AgentPeerError("INTERNAL", `Cannot start a process: ${error.message}`, { cause: error }));
    });
    child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 143)));
  });
  let isTimedOut = false;
  const end = (): void => {
    const roots = child.pid === undefined ? [] : [child.pid];
    const killOutside = (): Promise<void> =>
      killTree({ marker: marker.join("="), roots: () => roots, graceMs: GRACE_MS, clock: options.clock });
    const killInside = container?.kill(marker.join("="), GRACE_MS) ?? Promise.resolve();
    void killInside.then(killOutside, killOutside);
  };
  const timer =
    request.timeoutSeconds === undefined
      ? undefined
      : setTimeout(() => {
          isTimedOut = true;
          end();
        }, request.timeoutSeconds * 1000);
  request.signal.addEventListener("abort", end, { once: true });
  if (request.signal.aborted) end();
  child.stdin.on("error", () => undefined);
  child.stdin.end(`{\n${request.script}\n}</dev/null\n`);
  try {
    const outputs = [child.stdout, child.stderr].map(async (stream) => {
      for await (const bytes of stream) await request.onOutput(bytes as Buffer);
    });
    const code = await exited;
    // A background process may hold the pipes open for ever: what the script itself wrote is there by now.
    await Promise.race([Promise.allSettled(outputs), options.clock.sleep(500)]);
    child.stdout.destroy();
    child.stderr.destroy();
    return isTimedOut ? TIMEOUT_CODE : code;
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", end);
  }
}
