import type { JobStatus } from "../shared/agent/protocol.ts";

/** The exit code that a command ends with for a job in that state; null means that there is no such job. */
export function exitCodeOfStatus(status: JobStatus | null): number {
  switch (status) {
    case "SUCCEEDED":
      return 0;
    case "FAILED":
    case "FAILED_SETUP":
    case "FAILED_DRIVER":
      return 100;
    case "INIT":
    case "PENDING":
    case "SETTING_UP":
    case "RUNNING":
      return 101;
    case null:
      return 102;
    case "CANCELLED":
      return 103;
  }
}
