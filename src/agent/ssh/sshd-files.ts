import { accessSync, constants, existsSync, mkdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { shellQuote } from "../../shared/shell-quote.ts";

/** A container in which those who log in find themselves. */
export interface EnteredContainer {
  /** Command that runs a program inside, up to the place of `--tty`, and from there on. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface SshdOptions {
  /** A directory of the agent's own. */
  readonly directory: string;
  /** Lines of `authorized_keys`. */
  readonly keys: readonly string[];
  /** The server's own key, as OpenSSH reads it. */
  readonly hostKey: string;
  /** Variables of every session. */
  readonly env: Readonly<Record<string, string>>;
  readonly container?: EnteredContainer | undefined;
}

const SSHD_PATHS = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
const SFTP_PATHS = [
  "/usr/lib/openssh/sftp-server",
  "/usr/libexec/openssh/sftp-server",
  "/usr/lib/ssh/sftp-server",
  "/usr/libexec/sftp-server",
];

/** The machine's own SSH server, which a user may run for himself; undefined where there is none. */
export function findSshd(paths: readonly string[] = SSHD_PATHS): string | undefined {
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Writes what a server for one connection reads, and answers with the path of its configuration. */
export function writeSshdFiles(options: SshdOptions): string {
  const { directory, keys, hostKey, container } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(directory, name);
  writeIfChanged(file("host_key"), hostKey, 0o600);
  writeIfChanged(file("authorized_keys"), `${keys.join("\n")}\n`, 0o600);
  if (container !== undefined) writeIfChanged(file("enter"), renderEnter(container), 0o700);
  writeIfChanged(file("config"), renderConfig(options), 0o600);
  return file("config");
}

function renderConfig({ directory, container, env }: SshdOptions): string {
  // What its syntax has no words for is left out.
  const set = Object.entries(env).filter(([, value]) => !/["\\\n]/.test(value));
  const isRoot = process.getuid?.() === 0;
  const sftp = SFTP_PATHS.find((path) => existsSync(path)) ?? "internal-sftp";
  return [
    `HostKey ${directory}/host_key`,
    `AuthorizedKeysFile ${directory}/authorized_keys`,
    // The directory is the user's own; what lies above it need not be.
    "StrictModes no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    `AllowUsers ${userInfo().username}`,
    // Only root can ask PAM, and only PAM lets root in whose password is locked.
    `UsePAM ${isRoot && existsSync("/etc/pam.d/sshd") ? "yes" : "no"}`,
    "PidFile none",
    "PrintMotd no",
    "PrintLastLog no",
    "AcceptEnv LANG LC_* SKY_CLUSTER_NAME",
    ...(set.length === 0 ? [] : [`SetEnv ${set.map(([name, value]) => `"${name}=${value}"`).join(" ")}`]),
    `Subsystem sftp ${container === undefined ? sftp : "sftp-server"}`,
    ...(container === undefined ? [] : [`ForceCommand ${directory}/enter`]),
    "",
  ].join("\n");
}

/** What runs for whoever logs in to a node with a container: his command, or a shell, inside. */
function renderEnter({ before, after, env }: EnteredContainer): string {
  const words = (list: readonly string[]): string => list.map(shellQuote).join(" ");
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${shellQuote(value)}`);
  // An image has its sftp-server where it likes.
  const sftp = 'PATH="$PATH:/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh"';
  return `#!/bin/sh
${exports.join("\n")}
case $SSH_ORIGINAL_COMMAND in
"") exec ${words(before)} \${SSH_TTY:+--tty} ${words(after)} bash -l ;;
sftp-server) exec ${words(before)} ${words(after)} bash -c ${shellQuote(`${sftp} exec sftp-server`)} ;;
*) exec ${words(before)} \${SSH_TTY:+--tty} ${words(after)} bash -lc "$SSH_ORIGINAL_COMMAND" ;;
esac
`;
}

function writeIfChanged(path: string, text: string, mode: number): void {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileAtomic(path, text, { mode });
}
