import type { ClusterLocks } from "../operation.ts";

interface Waiter {
  readonly requestId: string;
  readonly grant: () => void;
}

interface Held {
  holder: string;
  readonly waiters: Waiter[];
}

/** One writer per cluster within this server, first come, first served. */
export function createClusterLocks(): ClusterLocks {
  const held = new Map<string, Held>();

  const release = (clusterName: string): void => {
    const lock = held.get(clusterName);
    const waiter = lock?.waiters.shift();
    if (lock === undefined || waiter === undefined) {
      held.delete(clusterName);
      return;
    }
    lock.holder = waiter.requestId;
    waiter.grant();
  };

  const locks: ClusterLocks = {
    // Nobody else can take it.
    lossOf: () => new AbortController().signal,
    findHolder: (clusterName) => Promise.resolve(held.get(clusterName)?.holder),
    tryAcquire: (clusterName, requestId) =>
      held.has(clusterName) ? Promise.resolve(undefined) : locks.acquire(clusterName, requestId),
    acquire: (clusterName, requestId, options = {}) => {
      const { signal } = options;
      if (signal?.aborted) return Promise.reject(signal.reason as Error);
      const once = releaseOnce(() => release(clusterName));
      const lock = held.get(clusterName);
      if (lock === undefined) {
        held.set(clusterName, { holder: requestId, waiters: [] });
        return Promise.resolve(once);
      }
      options.onBlocked?.(lock.holder);
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          requestId,
          grant: () => {
            signal?.removeEventListener("abort", onAbort);
            resolve(once);
          },
        };
        const onAbort = (): void => {
          lock.waiters.splice(lock.waiters.indexOf(waiter), 1);
          reject(signal?.reason as Error);
        };
        signal?.addEventListener("abort", onAbort, { once: true });
        lock.waiters.push(waiter);
      });
    },
  };
  return locks;
}

function releaseOnce(release: () => void): () => void {
  let isReleased = false;
  return () => {
    if (isReleased) return;
    isReleased = true;
    release();
  };
}
