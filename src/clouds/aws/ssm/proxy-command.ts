import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { NotSupportedError } from "../../../shared/errors.ts";
import { shellQuote } from "../../../shared/shell-quote.ts";

const PLUGIN_PROGRAMS = {
  aws: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
  "session-manager-plugin":
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
} as const;

/** A command line for ssh's ProxyCommand, which takes a percent sign for one of its own words. */
export function proxyCommandLine(words: readonly string[]): string {
  return words.map((word) => quoteWhenNeeded(word).replaceAll("%", "%%")).join(" ");
}

/** AWS's own programs. `profile` as AWS's CLI knows it. */
export function pluginCommand(instance: string, region: string, profile: string | undefined): string {
  return pluginStart(proxyCommandLine([instance]), region, profile);
}

/** The same for every node of a cluster by its address, for machines that know nothing of us. As SkyPilot 0.14.1 has it. */
export function pluginCommandByAddress(
  region: string,
  options: { readonly isInternal: boolean; readonly profile: string | undefined },
): string {
  const filter = options.isInternal ? "private-ip-address" : "ip-address";
  const find = [`aws ec2 describe-instances --region ${region}`, `--filters Name=${filter},Values=%h`];
  const query = ['--query "Reservations[].Instances[].InstanceId"', ...profileWords(options.profile), "--output text"];
  return pluginStart(`"$(${[...find, ...query].join(" ")})"`, region, options.profile);
}

function pluginStart(target: string, region: string, profile: string | undefined): string {
  return [
    `aws ssm start-session --target ${target} --region ${region}`,
    ...profileWords(profile),
    "--document-name AWS-StartSSHSession --parameters portNumber=%p",
  ].join(" ");
}

function profileWords(profile: string | undefined): readonly string[] {
  return profile === undefined || profile === "default" ? [] : [`--profile ${proxyCommandLine([profile])}`];
}

/** Throws NotSupportedError when a program of `aws.ssm_mode: plugin` is not installed where the API server runs. */
export function requirePlugin(env: Readonly<Record<string, string | undefined>>): void {
  const missing = Object.entries(PLUGIN_PROGRAMS).filter(([name]) => !isInPath(name, env["PATH"] ?? ""));
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name).join(" and ");
  throw new NotSupportedError(
    `aws.ssm_mode is plugin, but the machine of the API server has no ${names} in its PATH.`,
    {
      hint: `Leave aws.ssm_mode out, which needs neither, or install: ${missing.map(([, page]) => page).join(" ")}`,
    },
  );
}

function isInPath(program: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}

function quoteWhenNeeded(word: string): string {
  return /^[\w@+=:,./-]+$/.test(word) ? word : shellQuote(word);
}
