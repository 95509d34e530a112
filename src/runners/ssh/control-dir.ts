import { existsSync, writeFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { ensurePrivateFolder } from "../../platform/private-folder.ts";
import { renderConfig, targetId, type SshTarget } from "./target.ts";

/** Answers OpenSSH's question for a password of the one host that it is meant for, and no other question. */
const ASKPASS = `#!/bin/sh
case "$1" in
  *"$SKY_ASKPASS_FOR"*[Pp]assword*) exec cat "$SKY_ASKPASS_FILE" ;;
esac
exit 1
`;

/** Files that connections to one target share. */
export interface TargetFiles {
  readonly config: string;
  readonly control: string;
}

/**
 * A private folder with a short path (the name of a socket may have 107 bytes) for sockets of shared connections, generated
 * configurations and, while a login is under way, passwords.
 */
export class ControlDir {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Writes what `ssh` needs for the target. Throws OperationFailedError when the folder is not ours alone. */
  prepare(target: SshTarget): TargetFiles {
    ensurePrivateFolder(this.path);
    const { run: _, ...always } = target;
    const config = join(this.path, `${targetId(always)}.conf`);
    // Hosts on the way have sockets of their own, which targets behind the same one share.
    const text = renderConfig(target, `${this.path}/${this.#scopeOf(target)}-%C`);
    if (!existsSync(config)) writeFileAtomic(config, text, { mode: 0o600, directoryMode: 0o700 });
    return { config, control: join(this.path, targetId(target)) };
  }

  /** Variables with which ssh gets the password from a file that is there until `remove` is called. */
  offerPassword(target: SshTarget, prompt: string): { readonly env: Record<string, string>; remove(): void } {
    if (target.password === undefined) return { env: {}, remove: () => undefined };
    const askpass = join(this.path, "askpass");
    const file = join(this.path, `${targetId(target)}.${process.hrtime.bigint()}.pw`);
    if (!existsSync(askpass)) writeFileAtomic(askpass, ASKPASS, { mode: 0o700 });
    writeFileSync(file, `${target.password.reveal()}\n`, { mode: 0o600, flag: "wx" });
    return {
      // OpenSSH before 8.4 asks the program only when there is a display.
      env: {
        SSH_ASKPASS: askpass,
        SSH_ASKPASS_REQUIRE: "force",
        DISPLAY: "none",
        SKY_ASKPASS_FOR: prompt,
        SKY_ASKPASS_FILE: file,
      },
      remove: () => rmSync(file, { force: true }),
    };
  }

  #scopeOf(target: SshTarget): string {
    const { knownHosts, configFiles } = target;
    return `j${targetId({ host: "", knownHosts, configFiles }).slice(0, 8)}`;
  }
}
