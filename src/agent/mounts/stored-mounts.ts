import { readFileSync } from "node:fs";
import type { MounterPin, MountSpec } from "../../shared/agent/mounts.ts";

/** `<root>/mounts.json`: what is put up again after a reboot. Nothing in it is secret. */
export interface StoredMounts {
  readonly mounts: readonly MountSpec[];
  readonly mounters: readonly MounterPin[];
}

/** Undefined when there is none, or a power cut has left it empty; `onDamaged` hears of the latter. The next launch writes it anew. */
export function readStoredMounts(path: string, onDamaged?: () => void): StoredMounts | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as StoredMounts;
  } catch (error) {
    if (error instanceof SyntaxError) onDamaged?.();
    else if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}
