import type { Kysely } from "kysely";
import { findCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import { clusterRef } from "../clusters/cluster.ts";
import type { Borrower } from "../ports/cloud.ts";
import type { Task } from "../task/task.ts";

/** For whom keys of a cluster's mounts are. */
export function borrowerOf(row: ClusterRow): Borrower {
  const { clusterName, region, config } = clusterRef(row);
  return { clusterName, cloud: row.cloud, region, ...(config === undefined ? {} : { config }) };
}

/** The same before a launch: of a cluster that is to be made only the task tells, and of its place where that leaves no choice. */
export async function findBorrower(
  { resources }: Pick<Task, "resources">,
  clusterName: string,
  { db }: { readonly db: Kysely<Database> },
): Promise<Borrower> {
  const row = await findCluster(db, clusterName);
  if (row !== undefined) return borrowerOf(row);
  const [first, ...others] = resources.candidates;
  const { cloud, region } = first?.infra ?? {};
  const isDecided = others.every(({ infra }) => infra.cloud === cloud && infra.region === region);
  const config = first?.clusterConfigOverrides;
  return {
    clusterName,
    ...(isDecided && cloud !== undefined ? { cloud } : {}),
    ...(isDecided && region !== undefined ? { region } : {}),
    ...(config === undefined ? {} : { config }),
  };
}
