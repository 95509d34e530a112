import { readFileSync } from "node:fs";
import type { MounterPin, MountSpec } from "../../shared/agent/mounts.ts";

/** `<root>/mounts.json`: what is put up again after a reboot. Nothing in it is secret. */
export interface StoredMounts {
  readonly mounts: readonly MountSpec[];
  readonly mounters: readonly MounterPin[];
}

export function readStoredMounts(path: string): StoredMounts | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as StoredMounts;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
