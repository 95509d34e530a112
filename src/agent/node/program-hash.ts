import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/**
 * What the server knows this agent's program by: 16 hex digits. Undefined when the file cannot be read any more; the server then
 * takes the agent for one of another release.
 */
export function programHash(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
  } catch {
    // Removed since it was started.
    return undefined;
  }
}
