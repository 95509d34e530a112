import { listClusters, type ClusterRow } from "../../db/queries/clusters.ts";
import type { CloudContext } from "../ports/cloud.ts";
import { tendCluster, type TendContext } from "./repair.ts";

/** How often the server looks at every cluster by itself. */
export const REFRESH_EVERY_MS = 60_000;
/** Clusters that are asked about at once; clouds count calls. */
const AT_ONCE = 8;

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
  const { signal } = options;
  const rows = (await listClusters(context.db)).values();
  const work = async (): Promise<void> => {
    for (const row of rows) {
      if (signal.aborted) return;
      try {
        await tendCluster(row.name, context, ownCloudContext(row, { config: context.config, signal }));
      } catch (error) {
        if (!signal.aborted) context.onError(row.name, error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
