import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { AgentError } from "../shared/errors.ts";

/** The agent's program. */
export interface AgentBundle {
  readonly path: string;
  /** 16 hex digits of the SHA-256. */
  readonly hash: string;
}

/** Throws AgentError when it is not there. */
export function readBundle(path: string): AgentBundle {
  try {
    return { path, hash: createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16) };
  } catch (error) {
    throw new AgentError(`The node agent is missing: ${path} cannot be read.`, {
      cause: error,
      hint: "Run `npm run build` in the checkout, or reinstall the package.",
    });
  }
}
