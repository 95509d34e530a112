import { listClusters, type ClusterRow } from "../../db/queries/clusters.ts";
import type { CloudContext } from "../ports/cloud.ts";
import { Looks } from "./looks.ts";
import { tendCluster, type TendContext } from "./repair.ts";

/** How often the server looks at every cluster by itself. */
export const REFRESH_EVERY_MS = 60_000;
/** Clusters whose agents are asked at once. */
const AT_ONCE = 8;
/** Clusters of which their clouds are asked together: few enough for the last to be looked at while the answer is fresh. */
const TOGETHER = 200;

export interface RefreshAllContext extends TendContext {
  /** The server's own config, without any client's. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** A cluster that cannot be asked about; its row stays as it is, and the others go on. */
  readonly onError: (clusterName: string, error: unknown) => void;
}

/** How the server calls a cluster's cloud by itself, without a request. */
export function ownCloudContext(
  row: Pick<ClusterRow, "workspace">,
  options: { readonly config?: Readonly<Record<string, unknown>> | undefined; readonly signal: AbortSignal },
): CloudContext {
  return { workspace: row.workspace, config: options.config ?? {}, env: {}, signal: options.signal };
}

/**
 * Looks at every cluster that no request is working on and moves its row to what is there: what stopped itself, was stopped or
 * removed by somebody else, or went with a reboot while no server ran. Agents that died are started again. Resolves when all were
 * looked at or the signal aborts.
 */
export async function refreshAllClusters(
  context: RefreshAllContext,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const rows = await listClusters(context.db);
  for (let start = 0; start < rows.length && !options.signal.aborted; start += TOGETHER)
    await refreshTogether(rows.slice(start, start + TOGETHER), context, options.signal);
}

async function refreshTogether(
  clusters: readonly ClusterRow[],
  context: RefreshAllContext,
  signal: AbortSignal,
): Promise<void> {
  const contextOf = (row: ClusterRow): CloudContext => ownCloudContext(row, { config: context.config, signal });
  const looks = await Looks.take(clusters, context.clouds, contextOf);
  const rows = clusters.values();
  const work = async (): Promise<void> => {
    for (const row of rows) {
      if (signal.aborted) return;
      try {
        await tendCluster(row.name, { ...context, looks }, contextOf(row));
      } catch (error) {
        if (!signal.aborted) context.onError(row.name, error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
