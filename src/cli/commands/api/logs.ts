import { closeSync, existsSync, openSync, readFileSync, readSync, watch } from "node:fs";
import { skyPaths } from "../../../platform/paths.ts";
import { MissingFileError, UsageError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import { StreamPrinter } from "../../render/stream-printer.ts";
import type { apiLogsSpec } from "../../specs/api.ts";

/** `sky api logs`: the log of a request, a log file of the server, or the local server's own log. */
export async function runApiLogs({ args, options }: Input<typeof apiLogsSpec>, ctx: Context): Promise<void> {
  if (options.serverLogs) {
    await printServerLog(options, ctx);
    return;
  }
  const { requestId } = args;
  const { logPath } = options;
  if (requestId === undefined && logPath === undefined) {
    throw new UsageError("Invalid value: Please provide the request ID or log path.");
  }
  if (requestId !== undefined && logPath !== undefined) {
    throw new UsageError("Invalid value: Only one of request ID and log path can be provided.");
  }
  const client = await ctx.openClient({ config: options.config });
  const printer = new StreamPrinter(ctx);
  try {
    const events = client.api.logs({
      ...(requestId === undefined ? {} : { requestId }),
      ...(logPath === undefined ? {} : { logPath }),
      follow: options.follow,
      tail: options.tail,
      signal: ctx.signal,
    });
    for await (const event of events) await printer.print(event);
  } finally {
    printer.end();
  }
}

interface ServerLogOptions {
  readonly follow: boolean;
  readonly tail: number | undefined;
}

/** The file is read directly: the log is wanted most when the server does not answer. */
async function printServerLog(options: ServerLogOptions, ctx: Context): Promise<void> {
  const path = skyPaths(ctx.home).serverLog;
  if (!existsSync(path)) {
    throw new MissingFileError(`There is no log of a local API server at ${path}.`, { hint: "sky api start" });
  }
  const content = readFileSync(path);
  const lines = content.toString("utf8").split("\n");
  const tail = options.tail ?? 0;
  ctx.out.write(tail > 0 ? lines.slice(-tail - 1).join("\n") : content);
  if (options.follow) await followFile(path, content.length, ctx);
}

async function followFile(path: string, from: number, ctx: Context): Promise<void> {
  const fd = openSync(path, "r");
  const buffer = Buffer.alloc(64 * 1024);
  let position = from;
  const drain = (): void => {
    let read = readSync(fd, buffer, 0, buffer.length, position);
    while (read > 0) {
      ctx.out.write(Buffer.from(buffer.subarray(0, read)));
      position += read;
      read = readSync(fd, buffer, 0, buffer.length, position);
    }
  };
  try {
    await new Promise<void>((_resolve, reject) => {
      const watcher = watch(path, drain);
      const stop = (): void => {
        watcher.close();
        reject(ctx.signal.reason as Error);
      };
      if (ctx.signal.aborted) stop();
      else ctx.signal.addEventListener("abort", stop, { once: true });
      drain();
    });
  } finally {
    closeSync(fd);
  }
}
