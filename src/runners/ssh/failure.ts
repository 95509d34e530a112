import { AgentError } from "../../shared/errors.ts";
import { shellQuote } from "../../shared/shell-quote.ts";
import type { SshTarget } from "./target.ts";

/** What kept a connection from being made, as far as OpenSSH tells. */
export type SshFailureKind =
  | "busy"
  | "down"
  | "timeout"
  | "name"
  | "denied"
  | "host-key"
  | "key-file"
  | "proxy"
  | "lost"
  | "other";

export interface SshFailure {
  readonly kind: SshFailureKind;
  /** What happened, as a clause: `nothing listens on port 22`. */
  readonly reason: string;
  readonly hint?: string;
}

interface Rule {
  readonly pattern: RegExp;
  readonly explain: (match: RegExpExecArray, target: SshTarget) => SshFailure;
}

/** In the order in which they are tried: the first lines that ssh prints are the cause, later ones a consequence. */
const RULES: readonly Rule[] = [
  {
    pattern:
      /REMOTE HOST IDENTIFICATION HAS CHANGED[\s\S]*?Offending (\S+) key in (\S+?):\d+(?:[\s\S]*?Host key for (\S+))?/,
    explain: (match, target) => ({
      kind: "host-key",
      reason: `the host's key (${match[1]}) is not the one in ${match[2]}: another machine answers, or it was installed anew`,
      hint: `If that is expected, forget the old key: ssh-keygen -f ${match[2]} -R ${shellQuote(match[3] ?? target.host)}`,
    }),
  },
  {
    pattern: /Host key verification failed|No \S+ host key is known/,
    explain: () => ({ kind: "host-key", reason: "the host's key could not be verified" }),
  },
  {
    pattern:
      /(?:UNPROTECTED PRIVATE KEY FILE|Permissions \d+ for '([^']+)' are too open)[\s\S]*?(?:Permissions \d+ for '([^']+)')?/,
    explain: (match, target) => {
      const file = match[1] ?? match[2] ?? target.identityFiles?.[0] ?? "the key";
      return {
        kind: "key-file",
        reason: `${file} can be read by others, so ssh does not use it`,
        hint: `chmod 600 ${file}`,
      };
    },
  },
  {
    pattern: /Load key "([^"]+)": (.+)/,
    explain: (match) => ({
      kind: "key-file",
      reason: `the key ${match[1]} cannot be used: ${match[2]?.trim()}`,
      hint: "It must be a private key without a passphrase, or its key must be in the ssh agent: ssh-add",
    }),
  },
  {
    // The ssh on the way ended with an error of its own, and so did the connection through it.
    pattern:
      /stdio forwarding failed|open failed: (?:administratively prohibited|connect failed)|UNKNOWN port 65535|^(?!kex_)[^\n]+\n(?:[^\n]*\n)*?kex_exchange_identification: Connection closed/,
    explain: (match) => ({
      kind: "proxy",
      reason: `the way through the proxy failed: ${firstLine(match)}`,
      hint: "Try it by hand with ssh, and look at ProxyJump or ProxyCommand.",
    }),
  },
  {
    pattern: /Could not resolve hostname (\S+?):/,
    explain: (match) => ({
      kind: "name",
      reason: `the name ${match[1]} is not known`,
      hint: "Give its address, or a Host of ~/.ssh/config.",
    }),
  },
  {
    pattern: /Permission denied \(([^)]*)\)/,
    explain: (match, target) => ({
      kind: "denied",
      reason: `the login${target.user === undefined ? "" : ` as ${target.user}`} was refused (it accepts: ${match[1]})`,
      hint: deniedHint(target),
    }),
  },
  {
    pattern: /Too many authentication failures/,
    explain: () => ({
      kind: "denied",
      reason: "too many keys were tried before the right one",
      hint: "Name the key with identity_file, or set IdentitiesOnly in ~/.ssh/config.",
    }),
  },
  {
    pattern: /Connection refused/,
    explain: (_match, target) => ({ kind: "down", reason: `nothing listens on ${portText(target)}` }),
  },
  {
    pattern: /No route to host|Network is unreachable/,
    explain: () => ({ kind: "down", reason: "there is no route to it" }),
  },
  {
    pattern: /timed out|Timeout/i,
    explain: (_match, target) => ({
      kind: "timeout",
      reason: `it did not answer on ${portText(target)} within ${target.connectTimeoutSeconds ?? 10} seconds`,
    }),
  },
  {
    pattern: /kex_exchange_identification|Connection (?:closed|reset) by|Not allowed at this time|Exceeded MaxStartups/,
    explain: () => ({
      kind: "busy",
      reason:
        "it closed the connection before the login: its sshd has too many logins at once (MaxStartups), or refuses this address",
    }),
  },
];

/** Reads what ssh printed before it gave up. */
export function explainFailure(stderr: string, target: SshTarget): SshFailure {
  for (const { pattern, explain } of RULES) {
    const match = pattern.exec(stderr);
    if (match !== null) return explain(match, target);
  }
  const line = stderr.trim().split("\n").at(-1)?.trim() ?? "";
  return { kind: "other", reason: line === "" ? "ssh ended without a word" : line };
}

export function toSshError(failure: SshFailure, target: SshTarget): SshError {
  const hint = failure.hint === undefined ? {} : { hint: failure.hint };
  return new SshError(`Cannot reach ${target.host} by SSH: ${failure.reason}.`, failure, hint);
}

/** An AgentError that knows why. */
export class SshError extends AgentError {
  readonly failure: SshFailure;
  constructor(message: string, failure: SshFailure, options: { readonly hint?: string } = {}) {
    super(message, options);
    this.failure = failure;
  }
}

function portText(target: SshTarget): string {
  return target.port === undefined ? "its SSH port" : `port ${target.port}`;
}

/** The cause; what follows it is what it led to. */
function firstLine(match: RegExpExecArray): string {
  return (match.input.trim().split("\n")[0] ?? "").trim().replace(/\.$/, "");
}

function deniedHint(target: SshTarget): string {
  if (target.password !== undefined) return "Look at the user and the password.";
  return target.identityFiles === undefined || target.identityFiles.length === 0
    ? "Name the user and identity_file, load the key into the ssh agent (ssh-add), or give a password."
    : `Is the public part of ${target.identityFiles[0]} in ~/.ssh/authorized_keys of that user?`;
}
