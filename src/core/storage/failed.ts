import { SkyError, StorageBucketGetError, type SkyErrorOptions } from "../../shared/errors.ts";

/**
 * What failed, with the reason behind it. A refusal keeps its own words and next step; for anything else (the network, the provider, a
 * bug, whose stack goes to the log with the cause) they are `reason`, by default the message, and `hint`.
 */
export function storageFailure(
  Failure: new (message: string, options: SkyErrorOptions) => SkyError,
  error: unknown,
  { what, hint, reason = messageOf(error) }: { readonly what: string; readonly hint: string; readonly reason?: string },
): SkyError {
  if (!(error instanceof SkyError)) return new Failure(`${what} ${reason}`, { cause: error, hint });
  const next = error.hint === undefined ? {} : { hint: error.hint };
  return new Failure(`${what} ${error.message}`, { cause: error, ...next });
}

/** Does something with a bucket that only reads; whatever fails is said of the bucket. */
export async function reading<T>(
  { uri, cloud }: { readonly uri: string; /** Whose credentials are used. */ readonly cloud: string },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SkyError || signal.aborted) throw error;
    throw storageFailure(StorageBucketGetError, error, {
      what: `${uri} cannot be read.`,
      hint: `See which credentials are used, and whether they are answered: sky check ${cloud} -v`,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
