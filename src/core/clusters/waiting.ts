import { findCluster } from "../../db/queries/clusters.ts";
import type { OperationContext } from "../operation.ts";
import { cloudContext } from "./cluster.ts";
import * as messages from "./messages.ts";
import { refreshCluster } from "./refresh.ts";

const AUTOSTOP_POLL_MS = 250;
const POLLS_PER_LOOK = 40;

/** Becomes the only writer of the cluster; meanwhile the request shows as WAITING and says for whom. */
export async function lockCluster(clusterName: string, context: OperationContext): Promise<() => void> {
  let wasBlocked = false;
  const release = await context.locks.acquire(clusterName, context.requestId, {
    signal: context.signal,
    onBlocked: (holder) => {
      wasBlocked = true;
      context.requests.setWaiting(`Waiting for request ${holder} on cluster '${clusterName}'`);
      context.log.spin(messages.blockedSpinner(clusterName));
    },
  });
  if (wasBlocked) {
    context.requests.setWaiting(undefined);
    context.log.spinEnd();
  }
  return release;
}

/** Runs `work` as the cluster's only writer. */
export async function withClusterLock<T>(
  clusterName: string,
  context: OperationContext,
  work: () => Promise<T>,
): Promise<T> {
  const release = await lockCluster(clusterName, context);
  try {
    return await work();
  } finally {
    release();
  }
}

/** Waits for a cluster that is stopping itself, which cannot be taken back. */
export async function waitForAutostop(clusterName: string, context: OperationContext): Promise<void> {
  let row = await findCluster(context.db, clusterName);
  if (row?.status !== "AUTOSTOPPING") return;
  const text = `Waiting for autostop to complete on '${clusterName}'`;
  context.log.spin(messages.spinner(text));
  context.requests.setWaiting(text);
  for (let polls = 1; row?.status === "AUTOSTOPPING"; polls += 1) {
    await context.clock.sleep(AUTOSTOP_POLL_MS, { signal: context.signal });
    // The server's own login may be of another account, which never sees the end.
    row =
      polls % POLLS_PER_LOOK === 0
        ? await refreshCluster(clusterName, context, cloudContext(context))
        : await findCluster(context.db, clusterName);
  }
  context.requests.setWaiting(undefined);
  context.log.spinEnd();
  context.log.line(`Autostop completed. Cluster status: ${row?.status ?? "TERMINATED"}`);
}
