import { AgentPeerError } from "../../shared/agent/peer-error.ts";

/** Does something with a file of a sync; errors that a user can do something about say so. */
export function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

export async function guardAsync<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

export function noSpace(what: string, cause?: unknown): AgentPeerError {
  return new AgentPeerError("NO_SPACE", `No space is left on the node for ${what}.`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Free space on the node's disk, or ask for a larger one (disk_size), then repeat the command.",
  });
}

/** Turns the errors that a user can do something about into errors that say so. */
export function explainWriteError(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return noSpace(path, error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new AgentPeerError("NOT_ALLOWED", `This user may not write ${path} on the node.`, { cause: error });
  }
  return error;
}
