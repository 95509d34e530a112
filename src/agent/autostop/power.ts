import { execFileSync } from "node:child_process";
import { writeFileAtomic } from "../../platform/atomic-file.ts";

export type PowerState = "stopped" | "down";

/** Notes how this node ended, for whoever looks at it next (`<root>/state.json`). */
export function writePowerState(path: string, state: PowerState, nowMs: number): void {
  writeFileAtomic(path, JSON.stringify({ state, at: nowMs }));
}

const COMMANDS = [
  ["sudo", "-n", "shutdown", "-h", "now"],
  ["shutdown", "-h", "now"],
  ["systemctl", "poweroff"],
] as const;

/** Powers the machine off. Throws the last error when no way works. */
export function powerOff(run: (command: string, args: readonly string[]) => void = runCommand): void {
  let last: unknown;
  for (const [command, ...args] of COMMANDS) {
    try {
      run(command, args);
      return;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function runCommand(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: "ignore", timeout: 30_000 });
}
