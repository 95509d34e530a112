import type { LogStream } from "../client/log-stream.ts";
import type { Context } from "./context.ts";
import { makeColors } from "./render/colors.ts";
import { StreamPrinter } from "./render/stream-printer.ts";

/** Prints a job's log to its end and gives the job's exit code. `what` names the job when there is none: `Job 9`. */
export async function printJobLog(ctx: Context, log: LogStream, what = "The job"): Promise<number> {
  const printer = new StreamPrinter(ctx, { raw: true });
  try {
    for await (const event of log.events()) await printer.print(event);
  } finally {
    printer.end();
  }
  if (printer.jobStatus === "") ctx.err.write(`${what} not found (see \`sky queue\`).\n`);
  else if (printer.jobStatus !== undefined) printClosing(ctx, printer.jobStatus);
  return await log.exitCode;
}

/** Our server says how the job ended; the line itself is the client's. */
function printClosing(ctx: Context, status: string): void {
  const { green } = makeColors(ctx.env, ctx.out.isTTY);
  ctx.out.write(`${green("✓")} Job finished (status: ${status}).\n`);
}
