import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Hook, ShutdownParams } from "../../shared/agent/protocol.ts";
import type { ClusterNode } from "../node/cluster-node.ts";

export type HookEvent = NonNullable<ShutdownParams["hookEvent"]>;
/** A hook that the event has already been chosen for. */
export type ChosenHook = Pick<Hook, "run" | "timeoutSeconds">;

export interface HookOptions {
  /** `~/.sky/hooks`: a log per event, and the claim. */
  readonly directory: string;
  readonly bootId: string;
  readonly node: Pick<ClusterNode, "exec">;
  /** Told of hooks that failed. */
  readonly onFailure: (run: string, code: number) => void;
}

const CLAIM = ".teardown_claim";

export function chooseHooks(hooks: readonly Hook[], event: HookEvent): readonly ChosenHook[] {
  return hooks.filter((hook) => hook.events.length === 0 || hook.events.includes(event));
}

/**
 * Runs hooks in order, once for each teardown of the node: whoever comes second does nothing. Their failures and time-outs are
 * logged and change nothing.
 */
export async function runHooks(event: HookEvent, hooks: readonly ChosenHook[], options: HookOptions): Promise<void> {
  const { directory, bootId, node, onFailure } = options;
  if (hooks.length === 0) return;
  mkdirSync(directory, { recursive: true });
  try {
    writeFileSync(join(directory, CLAIM), bootId, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  const log = join(directory, `${event}.log`);
  writeFileSync(log, "");
  for (const { run, timeoutSeconds } of hooks) {
    const code = await node.exec({
      script: run,
      env: { SKYPILOT_HOOK_EVENT: event },
      timeoutSeconds,
      isForTasks: true,
      onOutput: async (bytes) => appendFileSync(log, bytes),
      signal: new AbortController().signal,
    });
    if (code === 0) continue;
    appendFileSync(log, `Hook failed with return code ${code}.\n`);
    onFailure(run, code);
  }
}

/** Makes hooks possible again: a node that starts after a stop or a reboot has a new teardown before it. */
export function renewHookClaim(
  directory: string,
  options: { readonly bootId: string; readonly wasStopped: boolean },
): void {
  const path = join(directory, CLAIM);
  try {
    if (options.wasStopped || readFileSync(path, "utf8") !== options.bootId) rmSync(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
