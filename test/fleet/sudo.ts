import { readFileSync } from "node:fs";
import { waitFor } from "../e2e/support/wait-for.ts";
import type { Host } from "./host.ts";
import { scriptPath } from "./world.ts";

/** Longer than any test. */
const LIFE_MS = 3_600_000;

/** Lets every account of the host do as root what it asks, until it is turned off. */
export async function installSudo(host: Host): Promise<void> {
  host.writeFile("/usr/bin/sudo", readFileSync(scriptPath("sudo.sh")), { mode: 0o755 });
  host.writeFile("/usr/sbin/sudo-root", readFileSync(scriptPath("sudo-root.sh")), { mode: 0o755 });
  void host.start(["/usr/sbin/sudo-root"], { timeoutMs: LIFE_MS });
  await waitFor(`sudo on ${host.name}`, () => host.list("/run").includes("sudo-requests"));
}
