import { statSync } from "node:fs";
import { resolve } from "node:path";
import { NotAvailableYetError, type SkyError } from "../shared/errors.ts";
import type { SkyClient } from "../client/sky-client.ts";
import type { CommandEntry } from "./command-entry.ts";
import type { Context, Machine } from "./context.ts";
import { renderHelp, usageOf } from "./parser/help.ts";
import { parseCommand } from "./parser/parse.ts";
import { makeColors } from "./render/colors.ts";
import { reportError } from "./report-error.ts";
import { ask, confirm } from "./prompt.ts";
import { redactCommandLine } from "./command-line.ts";
import { withRelogin } from "./relogin.ts";

/** Parses the words of a command and runs it. */
export async function runCommand(entry: CommandEntry, rest: readonly string[], machine: Machine): Promise<number> {
  const spec = await entry.spec?.();
  if (spec === undefined) throw new TypeError(`${entry.path} is a group`);
  const path = `sky ${entry.path}`;
  const usage = { line: usageOf(path, spec), path };
  const closers: (() => Promise<void>)[] = [];
  let json = false;
  try {
    const parsed = parseCommand(spec, rest, { kindOf: (name) => kindOf(resolve(machine.cwd, name)) });
    if (parsed.help) {
      machine.out.write(renderHelp(path, spec));
      return 0;
    }
    json = parsed.options["outputFormat"] === "json";
    warnDeprecated(entry, machine);
    if (entry.run === undefined) throw notAvailable(path);
    const handler = await entry.run();
    const ctx = makeContext(entry, rest, machine, closers);
    const input = { args: parsed.args, options: parsed.options };
    return (await withRelogin(ctx, () => handler(input, ctx))) ?? 0;
  } catch (error) {
    return reportError(error, { machine, usage, json });
  } finally {
    for (const close of closers) await close();
  }
}

function notAvailable(path: string): SkyError {
  return new NotAvailableYetError(`\`${path}\` is not available yet in this version.`);
}

function warnDeprecated(entry: CommandEntry, machine: Machine): void {
  if (entry.replacedBy === undefined) return;
  const colors = makeColors(machine.env, machine.err.isTTY);
  machine.err.write(
    `${colors.yellow(`WARNING: \`sky ${entry.path}\` has been renamed to \`sky ${entry.replacedBy}\` and will be removed in a future release. Please use the latter instead.`)}\n`,
  );
}

function kindOf(path: string): "directory" | "file" | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isDirectory() ? "directory" : "file";
}

function makeContext(
  entry: CommandEntry,
  rest: readonly string[],
  machine: Machine,
  closers: (() => Promise<void>)[],
): Context {
  const commandLine = redactCommandLine([...entry.path.split(" "), ...rest]);
  let client: Promise<SkyClient> | undefined;
  const ctx: Context = {
    ...machine,
    command: entry.path,
    commandLine,
    confirm: (question, options) => confirm(machine, question, options?.fallback ?? true),
    ask: (question) => ask(machine, question),
    onExit: (close) => closers.push(close),
    openClient: (overrides) => {
      client ??= import("./open-client.ts").then(async ({ openClient }) => {
        const opened = await openClient(ctx, overrides ?? {});
        closers.push(() => opened.close());
        return opened;
      });
      return client;
    },
  };
  return ctx;
}
