import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** A program is read once: what runs is what was there then, whatever is written over the file later. */
const known = new Map<string, string | undefined>();

/** What the server knows a program by: 16 hex digits of its SHA-256. Undefined when the file cannot be read. */
export function programHash(path: string): string | undefined {
  if (!known.has(path)) known.set(path, readHash(path));
  return known.get(path);
}

function readHash(path: string): string | undefined {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
  } catch {
    // Removed since it was started; the server then takes the agent for one of another release.
    return undefined;
  }
}
