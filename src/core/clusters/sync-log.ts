import { join } from "node:path";
import type { OperationContext } from "../operation.ts";
import * as messages from "./messages.ts";
import { openRunLog, runLogDir, type RunLog } from "./provision-log.ts";

/** A log of what a launch brings to its nodes. */
export interface SyncLog extends RunLog {
  /** How the user sees it, for behind a line. */
  readonly hint: string;
}

/** One of the logs of a run, which is there once something is written. */
export function openSyncLog(
  { runTimestamp }: { readonly runTimestamp: string },
  name: `${string}.log`,
  context: Pick<OperationContext, "home" | "clock">,
): SyncLog {
  const log = openRunLog(join(runLogDir(context.home, runTimestamp), name), context.clock);
  return { ...log, hint: messages.viewServerLog(`${runTimestamp}/${name}`) };
}

/** Tells user and log what is done next. */
export function tellStep(log: SyncLog, text: string, context: Pick<OperationContext, "log">): void {
  log.write(text);
  context.log.line(`  ${messages.dim(text)}`);
}

/** Does it; what it fails with is in the log as well. */
export async function logFailure<T>(log: SyncLog, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    log.write(`Ended: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  }
}
