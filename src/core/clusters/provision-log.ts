import { appendFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Kysely } from "kysely";
import { findClusterHistoryByName } from "../../db/queries/clusters-history.ts";
import { findCluster } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { OperationFailedError } from "../../shared/errors.ts";

/** `sky-` and the local time to the microsecond: names the logs of one run. */
export function runTimestamp(now: number): string {
  const date = new Date(now);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}-${two(date.getMinutes())}-${two(date.getSeconds())}`;
  // Milliseconds are all that the clock has; the microseconds keep names of one millisecond apart.
  const micros = String((now % 1000) * 1000 + (Math.floor(performance.now() * 1000) % 1000)).padStart(6, "0");
  return `sky-${day}-${time}-${micros}`;
}

/** `~/sky_logs/<run timestamp>` of the server. */
export function runLogDir(home: string, timestamp: string): string {
  return join(home, "sky_logs", timestamp);
}

export interface RunLog {
  readonly path: string;
  write(text: string): void;
}

/** A log file of a run, with a time before each line. */
export function openRunLog(path: string, clock: Clock): RunLog {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new OperationFailedError(`The log directory ${dirname(path)} cannot be made.`, {
      cause: error,
      hint: "Make the home directory of the API server's user writable, and free space on its disk.",
    });
  }
  return {
    path,
    write: (text) => {
      const time = new Date(clock.now()).toISOString().slice(5, 23).replace("T", " ");
      appendFileSync(
        path,
        `${text
          .split("\n")
          .map((line) => `I ${time} ${line}`)
          .join("\n")}\n`,
        { mode: 0o600 },
      );
    },
  };
}

/** Path of the log of the last launch, also of a cluster that is gone; undefined when none is recorded. */
export async function findProvisionLog(db: Kysely<Database>, clusterName: string): Promise<string | undefined> {
  const row = (await findCluster(db, clusterName)) ?? (await findClusterHistoryByName(db, clusterName));
  return row?.provision_log_path ?? undefined;
}
