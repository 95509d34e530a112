import { readFileSync } from "node:fs";

/** Changes when the machine boots; empty where it cannot be told. */
export function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Not Linux.
    return "";
  }
}
