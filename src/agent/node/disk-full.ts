import type { Clock } from "../../shared/clock.ts";

const SQLITE_FULL = 13;
const RETRY_MS = 1000;

/** Whether an error says that the disk, or the user's quota on it, is full. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as NodeJS.ErrnoException & { readonly errcode?: number };
  return code === "ENOSPC" || code === "EDQUOT" || errcode === SQLITE_FULL;
}

/** Repeats an action while the disk is full: the agent waits for space rather than lose what it has to write. */
export async function withSpace<T>(
  action: () => T,
  options: { readonly clock: Clock; readonly signal?: AbortSignal; readonly onFull: () => void },
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return action();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      if (attempt === 0) options.onFull();
      await options.clock.sleep(RETRY_MS, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}
