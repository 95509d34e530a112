import { appendFileSync, renameSync, statSync } from "node:fs";

/** The agent's own log: JSON lines in pino's format, two files of bounded size. Never given secrets. */
export interface AgentLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const MAX_BYTES = 4 * 1024 * 1024;

export function createAgentLog(path: string, options: { readonly maxBytes?: number } = {}): AgentLog {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  let size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const write = (level: number, msg: string, fields?: Readonly<Record<string, unknown>>): void => {
    const line = `${JSON.stringify({ level, time: Date.now(), pid: process.pid, msg, ...fields })}\n`;
    try {
      if (size + line.length > maxBytes) {
        renameSync(path, `${path}.1`);
        size = 0;
      }
      appendFileSync(path, line, { mode: 0o600 });
      size += line.length;
    } catch (error) {
      // A full disk must not end the agent: its jobs matter more than its log.
      process.stderr.write(`cannot write the log: ${(error as Error).message}\n`);
    }
  };
  return {
    info: (message, fields) => write(30, message, fields),
    error: (message, fields) => write(50, message, fields),
  };
}

/** What to log of an unknown error. */
export function describeError(error: unknown): Readonly<Record<string, unknown>> {
  return error instanceof Error ? { err: error.message, stack: error.stack } : { err: String(error) };
}
