import { isSet } from "../platform/env.ts";
import { SkyError, UsageError } from "../shared/errors.ts";
import { AbortedError, InterruptedError, type Machine } from "./context.ts";
import { OptionSyntaxError } from "./parser/usage-errors.ts";
import { makeColors } from "./render/colors.ts";

export interface ReportOptions {
  readonly machine: Machine;
  /** Usage line and path of the command, for usage errors. */
  readonly usage: { readonly line: string; readonly path: string } | undefined;
  /** Whether the command's output is JSON; its errors are then too. */
  readonly json: boolean;
}

/** Tells the user on stderr what went wrong and gives the exit code. */
export function reportError(error: unknown, options: ReportOptions): number {
  const { err, out } = options.machine;
  if (error instanceof InterruptedError) {
    err.write("\nAborted!\n");
    return 130;
  }
  if (error instanceof AbortedError) {
    err.write("Aborted!\n");
    return 1;
  }
  // A spinner of the server may have hidden the cursor.
  if (out.isTTY) out.write("\u001B[?25h");
  if (error instanceof UsageError) return reportUsage(error, options);
  if (options.json) {
    err.write(`${JSON.stringify({ error: toJson(error) }, undefined, 2)}\n`);
    return error instanceof SkyError ? error.exitCode : 1;
  }
  return error instanceof SkyError ? reportSkyError(error, options) : reportBug(error, options);
}

function reportUsage(error: UsageError, options: ReportOptions): number {
  const { err } = options.machine;
  if (options.usage !== undefined && !(error instanceof OptionSyntaxError)) {
    err.write(`Usage: ${options.usage.line}\nTry '${options.usage.path} -h' for help.\n\n`);
  }
  err.write(`Error: ${error.message}\n`);
  if (error.hint !== undefined) err.write(`hint: ${error.hint}\n`);
  return error.exitCode;
}

function reportSkyError(error: SkyError, options: ReportOptions): number {
  const { err, env } = options.machine;
  const colors = makeColors(env, err.isTTY);
  const debug = isSet(env, "SKYPILOT_DEBUG");
  const name = debug ? `${error.wireName}: ` : "";
  err.write(`${colors.red("error:")} ${name}${error.message}\n`);
  if (error.hint !== undefined) err.write(`${colors.cyan("hint:")} ${error.hint}\n`);
  if (debug && error.stack !== undefined) err.write(`${error.stack}\n`);
  return error.exitCode;
}

function toJson(error: unknown): Record<string, unknown> {
  if (error instanceof SkyError) {
    return { type: error.wireName, code: error.code, message: error.message, hint: error.hint ?? null };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { type: error instanceof Error ? error.name : "Error", code: "BUG", message, hint: null };
}

/** Not an error that we foresaw: the stack helps whoever looks into it. */
function reportBug(error: unknown, options: ReportOptions): number {
  const { err, env } = options.machine;
  const colors = makeColors(env, err.isTTY);
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof Error && code !== undefined && /^E[A-Z]+$/.test(code)) {
    err.write(`${colors.red("error:")} ${error.message}\n`);
    return 1;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  err.write(`${colors.red("error:")} an internal error of sky: ${stack}\n`);
  err.write(`${colors.cyan("hint:")} this is a bug; please report it with the lines above\n`);
  return 1;
}
