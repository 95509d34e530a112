import type { ClusterRow } from "../../db/queries/clusters.ts";
import type { CloudContext, CloudRegistry, Instance } from "../ports/cloud.ts";
import { clusterRef } from "./cluster.ts";

interface Look {
  /** The cluster's row when its cloud was asked. */
  readonly row: ClusterRow;
  readonly instances: Promise<readonly Instance[]>;
}

/** What clouds have shown of many clusters, asked at the same time so that the clusters of a region cost one call. */
export class Looks {
  readonly #byHash: ReadonlyMap<string, Look>;

  private constructor(byHash: ReadonlyMap<string, Look>) {
    this.#byHash = byHash;
  }

  /** Asks the clouds that answer for many clusters at once; resolves before they have answered. */
  static async take(
    rows: readonly ClusterRow[],
    clouds: CloudRegistry,
    contextOf: (row: ClusterRow) => CloudContext,
  ): Promise<Looks> {
    const looks = new Map<string, Look>();
    for (const row of rows) {
      const cloud = await clouds.load(row.cloud);
      if (cloud.queryMany === undefined) continue;
      const instances = cloud.query(clusterRef(row), contextOf(row));
      // Whoever asks for the look is told; nobody may have to.
      instances.catch(() => undefined);
      looks.set(row.cluster_hash, { row, instances });
    }
    return new Looks(looks);
  }

  /** The nodes of a cluster; undefined when they have to be asked for, because something was done to the cluster since. */
  of(row: ClusterRow): Promise<readonly Instance[]> | undefined {
    const look = this.#byHash.get(row.cluster_hash);
    return look !== undefined && isUntouched(look.row, row) ? look.instances : undefined;
  }
}

function isUntouched(before: ClusterRow, now: ClusterRow): boolean {
  return (
    before.status === now.status &&
    before.phase === now.phase &&
    before.status_updated_at === now.status_updated_at &&
    before.busy_request === now.busy_request &&
    before.instances === now.instances
  );
}
