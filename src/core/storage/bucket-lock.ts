import type { OperationContext } from "../operation.ts";

/** No name of a cluster holds a colon, so that both can share the locks. */
export function bucketLockName(bucket: string): string {
  return `bucket:${bucket}`;
}

/**
 * Runs `work` as the only one who makes, claims or removes a bucket: what a launch found there must not be on its way out, nor go for what
 * an earlier task said of it.
 */
export async function withBucketLock<T>(bucket: string, context: OperationContext, work: () => Promise<T>): Promise<T> {
  let wasBlocked = false;
  const release = await context.locks.acquire(bucketLockName(bucket), context.requestId, {
    signal: context.signal,
    onBlocked: () => {
      wasBlocked = true;
      context.requests.setWaiting(`Waiting for somebody else's work on bucket '${bucket}'`);
    },
  });
  try {
    if (wasBlocked) context.requests.setWaiting(undefined);
    return await work();
  } finally {
    release();
  }
}
