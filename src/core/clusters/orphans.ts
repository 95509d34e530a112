import { insertCluster, listClusters, findCluster } from "../../db/queries/clusters.ts";
import { InvalidValueError, SkyError } from "../../shared/errors.ts";
import type { OrphanRecord } from "../../shared/wire/orphans.ts";
import { enabledClouds } from "../check/clouds.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { Cloud, FoundCluster } from "../ports/cloud.ts";
import { adoptedRow } from "./adopt.ts";
import type { OrphansBody } from "./bodies.ts";
import { cloudContext } from "./cluster.ts";
import { refreshCluster } from "./refresh.ts";
import { rememberCluster } from "./transition.ts";

interface Orphan {
  readonly cloud: Cloud;
  readonly found: FoundCluster;
}

export const orphansOperation: Operation<OrphansBody, readonly OrphanRecord[]> = {
  name: "clusters.orphans",
  wireName: "orphans",
  schedule: "long",
  isResumable: false,
  run: runOrphans,
};

/**
 * Looks over every region of the enabled clouds for clusters that the database does not have, and removes or adopts them. Without
 * `all_users` only those of the caller.
 */
async function runOrphans(body: OrphansBody, context: OperationContext): Promise<readonly OrphanRecord[]> {
  const orphans = (await findOrphans(context)).filter(
    ({ found }) => body.all_users === true || userHashOf(found) === context.caller.userId,
  );
  const { cluster_names: names } = body;
  const chosen = orphans.filter(({ found }) => names === undefined || names === null || isNamed(found, names));
  const missing = (names ?? []).filter((name) => !orphans.some(({ found }) => isNamed(found, [name])));
  if (missing.length > 0) {
    throw new InvalidValueError(`There is no orphan ${missing.map((name) => `'${name}'`).join(", ")}.`, {
      hint: "`sky orphans` lists them; those of others with --all-users.",
    });
  }
  const records: OrphanRecord[] = [];
  for (const orphan of chosen) records.push(await act(orphan, body.action ?? "list", context));
  return records;
}

async function findOrphans(context: OperationContext): Promise<readonly Orphan[]> {
  const clouds = (await enabledClouds(context)).filter(({ enabled }) => enabled.includes("compute"));
  const found = await Promise.all(
    clouds.map(async ({ cloud }) => {
      const clusters = (await cloud.findClusters?.(cloudContext(context))) ?? [];
      return clusters.map((one) => ({ cloud, found: one }));
    }),
  );
  // Read after the look: a cluster that was launched meanwhile has its row before it has anything else.
  const rows = await listClusters(context.db);
  const known = new Set(rows.map((row) => `${row.cloud}\0${row.name_on_cloud}`));
  return found.flat().filter((one) => !known.has(`${one.cloud.name}\0${one.found.ref.nameOnCloud}`));
}

function isNamed({ ref }: FoundCluster, names: readonly string[]): boolean {
  return names.includes(ref.nameOnCloud) || names.includes(ref.clusterName);
}

/** The owner's hash ends every name on a cloud. */
function userHashOf({ origin, ref }: FoundCluster): string | null {
  return origin?.userHash ?? /-([0-9a-f]{8})$/.exec(ref.nameOnCloud)?.[1] ?? null;
}

async function act(
  orphan: Orphan,
  action: NonNullable<OrphansBody["action"]>,
  context: OperationContext,
): Promise<OrphanRecord> {
  const { cloud, found } = orphan;
  try {
    switch (action) {
      case "list":
        return toRecord(orphan, { outcome: null, problem: null });
      case "down":
        context.log.line(`Removing ${found.ref.nameOnCloud} in ${found.ref.region}...`);
        await cloud.terminate(found.ref, cloudContext(context));
        return toRecord(orphan, { outcome: "removed", problem: null });
      case "adopt":
        await adopt(orphan, context);
        return toRecord(orphan, { outcome: "adopted", problem: null });
    }
  } catch (error) {
    if (!(error instanceof SkyError) || context.signal.aborted) throw error;
    return toRecord(orphan, { outcome: "failed", problem: error.message });
  }
}

function toRecord({ cloud, found }: Orphan, done: Pick<OrphanRecord, "outcome" | "problem">): OrphanRecord {
  const { ref, instances } = found;
  const startedAt = instances.flatMap((one) => one.startedAtMs ?? []);
  return {
    name: ref.clusterName,
    name_on_cloud: ref.nameOnCloud,
    cloud: cloud.name,
    infra: `${cloud.displayName} (${ref.zone ?? ref.region})`,
    nodes: instances.length,
    instance_type: found.instanceType,
    states: instances.map((one) => one.state),
    user_name: found.userName,
    user_hash: userHashOf(found),
    launched_at: startedAt.length === 0 ? null : Math.floor(Math.min(...startedAt) / 1000),
    ...done,
  };
}

/** Writes the row anew. Throws InvalidValueError for what cannot be a cluster of ours. */
async function adopt({ cloud, found }: Orphan, context: OperationContext): Promise<void> {
  const { clusterName } = found.ref;
  if ((await findCluster(context.db, clusterName)) !== undefined) {
    throw new InvalidValueError(`There is another cluster named '${clusterName}'.`);
  }
  const row = await adoptedRow({ cloud, found }, context);
  await insertCluster(context.db, row);
  await rememberCluster(context, row);
  await refreshCluster(clusterName, context, cloudContext(context));
}
