import { createHash } from "node:crypto";
import type { Secret } from "../../shared/secret.ts";

/** How to reach one machine. Whatever is not given comes from the configuration files, as it would for `ssh <host>`. */
export interface SshTarget {
  /** As a `Host` of the configuration or the resolver knows it. */
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  /** Absolute paths of private keys, tried before those of the configuration. */
  readonly identityFiles?: readonly string[];
  /** Whether no other key may be tried, those of the agent included. */
  readonly hasOnlyTheseIdentities?: boolean;
  /** For logins that want one; never in an argument or a variable. */
  readonly password?: Secret;
  /** Wins over the configuration's; `none` = directly. */
  readonly proxyCommand?: string;
  readonly proxyJump?: string;
  /** OpenSSH configuration files to read, in order, e.g. the user's; files that are not there are skipped. */
  readonly configFiles: readonly string[];
  /** Files with known host keys: new ones are remembered in the first, none is accepted that contradicts one of them. */
  readonly knownHosts: readonly [string, ...string[]];
  /** Under which name the host's key is remembered, for hosts whose address changes. */
  readonly hostKeyAlias?: string;
  /** Which run of the machine is meant, where it is one that is switched off and on: no connection to an earlier run is taken up. */
  readonly run?: number;
  /** For one attempt, in seconds (10). */
  readonly connectTimeoutSeconds?: number;
}

/** Seconds after which an unused connection is closed. */
const PERSIST_SECONDS = 120;
const CONNECT_TIMEOUT_SECONDS = 10;

/**
 * OpenSSH's own, the ones first that are the fastest where processors know AES: it prefers ChaCha20 for the others. What the user's
 * configuration says wins.
 */
const CIPHERS =
  "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";

/**
 * The configuration for `ssh -F`. Ours comes first, because OpenSSH keeps the first value of each option; and it holds for
 * hosts on the way (ProxyJump) too, which command-line options would not reach.
 */
export function renderConfig(target: SshTarget, controlPath: string): string {
  const hasPassword = target.password !== undefined;
  const lines = [
    "Host *",
    `  BatchMode ${hasPassword ? "no" : "yes"}`,
    "  NumberOfPasswordPrompts 1",
    `  ConnectTimeout ${target.connectTimeoutSeconds ?? CONNECT_TIMEOUT_SECONDS}`,
    // A peer that is gone is noticed after 15 seconds, and no proxy takes the connection for an idle one.
    "  ServerAliveInterval 5",
    "  ServerAliveCountMax 3",
    "  StrictHostKeyChecking accept-new",
    `  UserKnownHostsFile ${target.knownHosts.map(quoteConfig).join(" ")}`,
    "  HashKnownHosts no",
    "  UpdateHostKeys no",
    "  LogLevel ERROR",
    `  ControlPath ${quoteConfig(controlPath)}`,
    "  ControlMaster auto",
    `  ControlPersist ${PERSIST_SECONDS}`,
    "  ForwardAgent no",
    "  ForwardX11 no",
    "  AddKeysToAgent no",
    "  PermitLocalCommand no",
    "  RemoteCommand none",
    "  RequestTTY no",
    "  ClearAllForwardings yes",
    ...target.configFiles.map((file) => `Include ${quoteConfig(file)}`),
    "Host *",
    `  Ciphers ${CIPHERS}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** Options of this host alone. `configPath` has what `renderConfig` says. */
export function targetArguments(
  target: SshTarget,
  files: { readonly config: string; readonly control: string },
): string[] {
  return [
    "-F",
    files.config,
    "-S",
    files.control,
    "-T",
    ...(target.port === undefined ? [] : ["-p", String(target.port)]),
    ...(target.user === undefined ? [] : ["-l", target.user]),
    ...(target.identityFiles ?? []).flatMap((file) => ["-i", file]),
    ...(target.hasOnlyTheseIdentities === true ? ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"] : []),
    ...(target.proxyCommand === undefined ? [] : ["-o", `ProxyCommand=${target.proxyCommand}`]),
    ...(target.proxyJump === undefined ? [] : ["-J", target.proxyJump]),
    ...(target.hostKeyAlias === undefined ? [] : ["-o", `HostKeyAlias=${target.hostKeyAlias}`]),
  ];
}

/**
 * A name for everything that connections to this target may share. Two targets that differ in anything, a key or a file with
 * known hosts, share nothing.
 */
export function targetId(target: SshTarget): string {
  const { password, ...rest } = target;
  const secret = password === undefined ? "" : createHash("sha256").update(password.reveal()).digest("hex");
  return createHash("sha256")
    .update(JSON.stringify([rest, secret]))
    .digest("hex")
    .slice(0, 20);
}

/** In double quotes, which OpenSSH's configuration files know for arguments. */
function quoteConfig(path: string): string {
  return `"${path.replaceAll("%", "%%").replaceAll('"', '\\"')}"`;
}
