import { readVariable } from "../platform/env.ts";
import type { CommandEntry } from "./command-entry.ts";
import { commandTable } from "./command-table.ts";
import type { Machine } from "./context.ts";

/** Runs one command line and gives its exit code. Writes nothing but to `machine`. */
export async function runCli(argv: readonly string[], machine: Machine): Promise<number> {
  try {
    const completion = readVariable(machine.env, "_SKY_COMPLETE");
    if (completion !== undefined) {
      const { runCompletion } = await import("./completion/protocol.ts");
      return await runCompletion(completion, machine);
    }
    return await dispatch(argv, machine);
  } catch (error) {
    return await reportCrash(error, machine);
  }
}

async function dispatch(argv: readonly string[], machine: Machine): Promise<number> {
  const { entry, rest } = findEntry(argv);
  if (entry?.spec !== undefined) {
    const { runCommand } = await import("./run-command.ts");
    return await runCommand(entry, rest, machine);
  }
  const { runGroup } = await import("./run-group.ts");
  return await runGroup(entry, rest, machine);
}

/** Follows the words of the command line into the table, as far as they lead. */
export function findEntry(argv: readonly string[]): { entry: CommandEntry | undefined; rest: readonly string[] } {
  let entry: CommandEntry | undefined;
  let used = 0;
  while (used < argv.length && entry?.spec === undefined) {
    const path = argv.slice(0, used + 1).join(" ");
    const next = commandTable.find((candidate) => candidate.path === path);
    if (next === undefined) break;
    entry = next;
    used += 1;
  }
  return { entry, rest: argv.slice(used) };
}

/** Errors before a command is known, and whatever nobody caught. */
async function reportCrash(error: unknown, machine: Machine): Promise<number> {
  const { reportError } = await import("./report-error.ts");
  return reportError(error, { machine, usage: undefined, json: false });
}
