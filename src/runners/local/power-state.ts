import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What an agent wrote down before it ended its own node (src/agent/autostop/power.ts); undefined: nothing. */
export function readPowerState(agentRoot: string): "stopped" | "terminated" | undefined {
  try {
    const { state } = JSON.parse(readFileSync(powerFile(agentRoot), "utf8")) as { readonly state?: unknown };
    if (state === "stopped") return "stopped";
    return state === "down" ? "terminated" : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** A node that is started again takes back what it said. */
export function forgetPowerState(agentRoot: string): void {
  rmSync(powerFile(agentRoot), { force: true });
}

function powerFile(agentRoot: string): string {
  return join(agentRoot, "state.json");
}
