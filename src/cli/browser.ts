import { spawn } from "node:child_process";
import type { Machine } from "./context.ts";

/** Opens a page in the user's browser when there is a desktop; otherwise the printed address has to do. */
export function openBrowser(url: string, machine: Machine): void {
  const command = browserCommand(machine);
  if (command === undefined) return;
  const [program, ...args] = command;
  if (program === undefined) return;
  const child = spawn(program, [...args, url], { detached: true, stdio: "ignore" });
  // No browser installed: the address is on the screen.
  child.once("error", () => undefined);
  child.unref();
}

function browserCommand({ env, out }: Machine): readonly string[] | undefined {
  if (env["BROWSER"] !== undefined && env["BROWSER"] !== "") return [env["BROWSER"]];
  if (!out.isTTY) return undefined;
  if (process.platform === "darwin") return ["open"];
  if (process.platform === "win32") return ["cmd", "/c", "start", ""];
  return env["DISPLAY"] === undefined && env["WAYLAND_DISPLAY"] === undefined ? undefined : ["xdg-open"];
}
