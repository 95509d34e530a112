import type { ClusterRow } from "../../db/queries/clusters.ts";
import type { Cloud, CloudContext, CloudRegistry, Instance } from "../ports/cloud.ts";
import { clusterRef } from "./cluster.ts";

interface Look {
  /** The cluster's row when its cloud was asked. */
  readonly row: ClusterRow;
  readonly instances: Promise<readonly Instance[]>;
}

/** What clouds have shown of many clusters, asked once for all clusters of a region where they can be asked so. */
export class Looks {
  readonly #byHash: ReadonlyMap<string, Look>;

  private constructor(byHash: ReadonlyMap<string, Look>) {
    this.#byHash = byHash;
  }

  /** Asks the clouds; resolves before they have answered. */
  static async take(
    rows: readonly ClusterRow[],
    clouds: CloudRegistry,
    contextOf: (row: ClusterRow) => CloudContext,
  ): Promise<Looks> {
    const looks = new Map<string, Look>();
    // Workspaces have accounts of their own.
    const groups = Map.groupBy(rows, ({ cloud, region, workspace }) => JSON.stringify([cloud, region, workspace]));
    for (const group of groups.values()) {
      const [first] = group;
      if (first === undefined) continue;
      const answers = askTogether(group, await clouds.load(first.cloud), contextOf(first));
      // Whoever asks for the look is told; nobody may have to.
      answers?.catch(() => undefined);
      group.forEach((row, index) => {
        if (answers === undefined) return;
        const instances = answers.then((all) => all[index] ?? []);
        instances.catch(() => undefined);
        looks.set(row.cluster_hash, { row, instances });
      });
    }
    return new Looks(looks);
  }

  /** The nodes of a cluster; undefined when they have to be asked for, because something was done to the cluster since. */
  of(row: ClusterRow): Promise<readonly Instance[]> | undefined {
    const look = this.#byHash.get(row.cluster_hash);
    return look !== undefined && isUntouched(look.row, row) ? look.instances : undefined;
  }
}

function askTogether(
  rows: readonly ClusterRow[],
  cloud: Cloud,
  context: CloudContext,
): Promise<readonly (readonly Instance[])[]> | undefined {
  return rows.length < 2 ? undefined : cloud.queryMany?.(rows.map(clusterRef), context);
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
