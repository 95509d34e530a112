import { listClusters, type ClusterRow } from "../../db/queries/clusters.ts";
import { SkyError } from "../../shared/errors.ts";
import { matchesGlob } from "../../shared/glob.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { CloudContext } from "../ports/cloud.ts";
import type { StatusBody } from "./bodies.ts";
import { chargesByCluster, costOf, type ChargesByCluster } from "./charges.ts";
import { cloudContext, toCluster, type Cluster } from "./cluster.ts";
import { hourlyCost } from "./cost-report.ts";
import { Looks } from "./looks.ts";
import { yellow } from "./messages.ts";
import { toStatusRecord, type StatusRecord } from "./record.ts";
import { needsRefresh, refreshCluster } from "./refresh.ts";
import { sshCredentials } from "./ssh-credentials.ts";

export const statusOperation: Operation<StatusBody, readonly StatusRecord[]> = {
  name: "clusters.status",
  wireName: "status",
  schedule: "short",
  isResumable: false,
  run: runStatus,
};

async function runStatus(body: StatusBody, context: OperationContext): Promise<readonly StatusRecord[]> {
  const patterns = body.cluster_names ?? undefined;
  const all = await listClusters(context.db, body.all_users === false ? { userHash: context.caller.userId } : {});
  const rows = patterns === undefined ? all : all.filter((row) => patterns.some((one) => matchesGlob(one, row.name)));
  const missing = patterns?.filter((one) => !rows.some((row) => matchesGlob(one, row.name))) ?? [];
  if (missing.length > 0) context.log.line(`Cluster(s) not found: ${missing.join(", ")}.`);
  const refresh = body.refresh ?? "NONE";
  const current = refresh === "NONE" ? rows : await refreshAll(rows, refresh === "FORCE", context);
  return renderAll(current, body, context);
}

async function refreshAll(
  rows: readonly ClusterRow[],
  isForced: boolean,
  context: OperationContext,
): Promise<readonly ClusterRow[]> {
  const now = context.clock.now();
  const asked = new Set(rows.filter((row) => isForced || needsRefresh(row, now)));
  // Whoever asks, a cluster belongs to its own workspace's account.
  const contextOf = (row: ClusterRow): CloudContext => ({ ...cloudContext(context), workspace: row.workspace });
  const looks = await Looks.take([...asked], context.clouds, contextOf);
  const refreshed = await Promise.all(
    rows.map(async (row) => {
      if (!asked.has(row)) return row;
      try {
        return await refreshCluster(row.name, { ...context, looks }, contextOf(row));
      } catch (error) {
        if (!(error instanceof SkyError) || context.signal.aborted) throw error;
        // One cluster that cannot be asked must not hide the others.
        context.log.line(yellow(`Failed to refresh the status of cluster '${row.name}': ${error.message}`));
        return row;
      }
    }),
  );
  return refreshed.filter((row) => row !== undefined);
}

async function renderAll(
  rows: readonly ClusterRow[],
  body: StatusBody,
  context: OperationContext,
): Promise<readonly StatusRecord[]> {
  const names = new Set(rows.map((row) => row.cloud));
  const clouds = new Map(
    await Promise.all([...names].map(async (name) => [name, await context.clouds.load(name)] as const)),
  );
  const charges =
    body.include_costs === true
      ? await chargesByCluster(context.db, { clusterHashes: rows.map((row) => row.cluster_hash) })
      : undefined;
  const render = async (row: ClusterRow): Promise<StatusRecord> => {
    const cloud = clouds.get(row.cloud);
    const cluster = toCluster(row);
    const credentials = body.include_credentials === true ? await sshCredentials(cluster, cloud, context) : undefined;
    return toStatusRecord(cluster, {
      displayName: cloud?.displayName ?? row.cloud,
      wireInfra: cloud?.wireInfra(row.region, row.zone) ?? row.cloud,
      includeHandle: body.include_handle ?? true,
      isSummary: body.summary_response ?? false,
      ...(credentials === undefined ? {} : { credentials }),
      ...(charges === undefined ? {} : { costs: costsOf(cluster, charges, context.clock.now()) }),
    });
  };
  return Promise.all(rows.map(render));
}

function costsOf({ row, offer }: Cluster, charges: ChargesByCluster, now: number) {
  const own = charges.get(row.cluster_hash) ?? [];
  return {
    cost_per_hour: hourlyCost(offer, row.num_nodes, row.status),
    total_cost: costOf(own, { from: 0, to: now }).totalUsd,
  };
}
