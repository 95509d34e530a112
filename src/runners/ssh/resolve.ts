import { execFile } from "node:child_process";
import { AgentError } from "../../shared/errors.ts";
import { targetArguments, type SshTarget } from "./target.ts";
import type { TargetFiles } from "./control-dir.ts";

/** What OpenSSH makes of a target: the configuration files applied. */
export interface ResolvedTarget {
  readonly hostName: string;
  /** Whether the configuration files have a `Host` (or `Match`) for it besides `Host *`. */
  readonly isNamed: boolean;
  readonly port: number;
  readonly user: string;
  /** Undefined: directly. */
  readonly proxyJump: string | undefined;
  readonly proxyCommand: string | undefined;
  readonly identityFiles: readonly string[];
}

/** Asks the local `ssh` what it would do; nothing goes over the network. Throws AgentError. */
export function resolveTarget(
  target: SshTarget,
  files: TargetFiles,
  tools: { readonly program: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<ResolvedTarget> {
  const args = [...targetArguments(target, files), "-o", "LogLevel=DEBUG1", "-G", "--", target.host];
  return new Promise((resolve, reject) => {
    execFile(tools.program, args, { env: tools.env, timeout: 10_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(parseResolved(stdout, /Applying options for (?!\*)|matched 'host/.test(stderr)));
      else {
        reject(
          new AgentError(`ssh does not accept the settings for ${target.host}: ${stderr.trim() || error.message}`),
        );
      }
    });
  });
}

function parseResolved(text: string, isNamed: boolean): ResolvedTarget {
  const all = text.split("\n").map((line) => {
    const space = line.indexOf(" ");
    return [line.slice(0, space), line.slice(space + 1)] as const;
  });
  const find = (name: string): string | undefined => {
    const value = all.find(([key]) => key === name)?.[1];
    return value === "none" || value === "" ? undefined : value;
  };
  return {
    hostName: find("hostname") ?? "",
    isNamed,
    port: Number(find("port") ?? 22),
    user: find("user") ?? "",
    proxyJump: find("proxyjump"),
    proxyCommand: find("proxycommand"),
    identityFiles: all.filter(([key]) => key === "identityfile").map(([, value]) => value),
  };
}
