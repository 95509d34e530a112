import { CLIENT_COMMIT, CLIENT_VERSION } from "../client/version.ts";
import { UsageError } from "../shared/errors.ts";
import type { CommandEntry } from "./command-entry.ts";
import { commandTable } from "./command-table.ts";
import type { Machine } from "./context.ts";
import { groupUsage, renderGroupHelp } from "./parser/help.ts";
import type { OptionSpec } from "./parser/spec.ts";
import { noSuchCommand } from "./parser/usage-errors.ts";
import { reportError } from "./report-error.ts";
import { rootOptions } from "./root-options.ts";

/** `sky` or a group without a command that exists: help, the options of `sky`, or an error. */
export async function runGroup(
  group: CommandEntry | undefined,
  rest: readonly string[],
  machine: Machine,
): Promise<number> {
  const path = group === undefined ? "sky" : `sky ${group.path}`;
  try {
    return await run(group, path, rest, machine);
  } catch (error) {
    return reportError(error, { machine, usage: { line: groupUsage(path), path }, json: false });
  }
}

async function run(
  group: CommandEntry | undefined,
  path: string,
  rest: readonly string[],
  machine: Machine,
): Promise<number> {
  const options: readonly OptionSpec[] = group === undefined ? Object.values(rootOptions) : [];
  const [first] = rest;
  if (first === undefined || first === "-h" || first === "--help") {
    machine.out.write(renderGroupHelp(path, group?.summary, options, listed(group)));
    return 0;
  }
  if (!first.startsWith("-"))
    throw noSuchCommand(
      first,
      children(group).map((entry) => entry.name),
    );
  if (group === undefined && rest.length === 1) {
    // The most frequent ones need no parser.
    if (first === "--version" || first === "-v") return await runRootOption({ version: true }, machine);
    if (first === "--commit" || first === "-c") return await runRootOption({ commit: true }, machine);
  }
  const { parseCommand } = await import("./parser/parse.ts");
  const spec = { help: "", args: {}, options: group === undefined ? rootOptions : {} };
  const parsed = parseCommand(spec, rest.slice(0, 1 + valueWords(rest)), { kindOf: () => undefined });
  return await runRootOption(parsed.options, machine);
}

/** How many words belong to the first option. */
function valueWords(rest: readonly string[]): number {
  return /^--(un)?install-shell-completion$/.test(rest[0] ?? "") ? Math.min(1, rest.length - 1) : 0;
}

async function runRootOption(options: Readonly<Record<string, unknown>>, machine: Machine): Promise<number> {
  const install = options["installShellCompletion"];
  const uninstall = options["uninstallShellCompletion"];
  if (typeof install === "string" || typeof uninstall === "string") {
    const { installCompletion, uninstallCompletion } = await import("./completion/install.ts");
    return typeof install === "string"
      ? await installCompletion(install, machine)
      : await uninstallCompletion(String(uninstall), machine);
  }
  if (options["version"] === true) machine.out.write(`skypilot, version ${CLIENT_VERSION}\n`);
  else if (options["commit"] === true) machine.out.write(`skypilot, commit ${CLIENT_COMMIT}\n`);
  else throw new UsageError("Missing command.");
  return 0;
}

function children(group: CommandEntry | undefined): { name: string; entry: CommandEntry }[] {
  const prefix = group === undefined ? "" : `${group.path} `;
  return commandTable
    .filter((entry) => entry.path.startsWith(prefix) && !entry.path.slice(prefix.length).includes(" "))
    .map((entry) => ({ name: entry.path.slice(prefix.length), entry }));
}

function listed(group: CommandEntry | undefined): { name: string; summary: string }[] {
  return children(group)
    .filter(({ entry }) => entry.hidden !== true)
    .map(({ name, entry }) => ({ name, summary: entry.summary }));
}
