import type { Fleet } from "../../fleet/fleet.ts";
import { plainText } from "./plain-text.ts";
import { runProgram, type RunResult } from "./run-program.ts";
import type { OfficialClient, Sandbox } from "./sandbox.ts";

/** In a mount namespace of its own, the account's home is the client's: OpenSSH takes it from the account, not from HOME. */
const SCRIPT = `sed "s,^root:\\(.*\\):/root:,root:\\1:$HOME:," /etc/passwd >"$HOME/passwd" &&
mount --bind "$HOME/passwd" /etc/passwd && exec ssh "$@"`;

/** Runs `ssh` as the user of an official client, whose own ssh config counts. Its Python may lie anywhere on this machine. */
export async function sshOfClient(
  place: { readonly fleet: Fleet; readonly sandbox: Sandbox; readonly client: OfficialClient },
  args: readonly string[],
): Promise<RunResult> {
  const argv = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", ...args];
  const options = { env: place.client.env(), cwd: place.sandbox.work, timeoutMs: 60_000 };
  const result = await runProgram(place.fleet.world.enterNetwork(argv), options);
  return { ...result, stdout: plainText(result.stdout), stderr: plainText(result.stderr) };
}
