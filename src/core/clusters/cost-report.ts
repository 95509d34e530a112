import { listClusterHistory, type ClusterHistoryRow } from "../../db/queries/clusters-history.ts";
import type { ClusterChargeRow } from "../../db/queries/cluster-charges.ts";
import { listClusters } from "../../db/queries/clusters.ts";
import { formatAmount } from "../optimizer/ruled-table.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { Offer } from "../ports/cloud.ts";
import type { CostReportBody } from "./bodies.ts";
import { chargesByCluster, costOf, ratesOf, totalRate, type Cost } from "./charges.ts";
import { acceleratorsText, launchedResources, resourcesText } from "./record.ts";
import type { UsageInterval } from "./transition.ts";

export interface CostRecord {
  readonly name: string;
  /** Seconds. */
  readonly launched_at: number;
  readonly duration: number;
  readonly num_nodes: number;
  readonly resources: Readonly<Record<string, unknown>>;
  readonly priority: null;
  readonly priority_class: null;
  readonly cluster_hash: string;
  readonly usage_intervals: readonly (readonly [number, number | null])[];
  /** Null: terminated. */
  readonly status: string | null;
  readonly user_hash: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly last_event: string | null;
  readonly node_names: string;
  readonly last_creation_yaml: string | null;
  readonly last_creation_command: string | null;
  /** USD of the days that were asked for: instances, disks (also of stopped clusters) and public addresses. */
  readonly total_cost: number;
  /** USD per hour: of a stopped cluster its disks, of one that is gone what it was while it ran; null = unknown. */
  readonly cost_per_hour: number | null;
  readonly cost_details: CostDetails;
  readonly labels: Readonly<Record<string, string>>;
  readonly cloud: string;
  readonly region: string;
  readonly cpus: string;
  readonly memory: string;
  readonly accelerators: string;
  readonly resources_str: string;
  readonly resources_str_full: string;
}

/** USD; `is_complete` is false when some price is not known, so that the real cost is higher. */
export interface CostDetails {
  readonly instances: number;
  readonly disks: number;
  readonly ips: number;
  readonly is_complete: boolean;
}

const DAY_MS = 86_400_000;

export const costReportOperation: Operation<CostReportBody, readonly CostRecord[]> = {
  name: "clusters.cost_report",
  wireName: "cost_report",
  schedule: "short",
  isResumable: false,
  run: runCostReport,
};

async function runCostReport(body: CostReportBody, context: OperationContext): Promise<readonly CostRecord[]> {
  const now = context.clock.now();
  const days = body.days ?? 0;
  const since = days > 0 ? now - days * DAY_MS : 0;
  const history = await listClusterHistory(context.db, {
    ...(body.cluster_hashes ? { hashes: body.cluster_hashes } : {}),
    ...(body.cluster_names ? { names: body.cluster_names } : {}),
    excludeManaged: body.exclude_managed_clusters ?? false,
  });
  const live = new Map((await listClusters(context.db)).map((row) => [row.cluster_hash, row]));
  const charges = await chargesByCluster(context.db, { since });
  const names = new Map<string, { readonly displayName: string; readonly infra: string }>();
  for (const { cloud, region, zone } of history) {
    if (names.has(cloud)) continue;
    const known = context.clouds.names().includes(cloud) ? await context.clouds.load(cloud) : undefined;
    names.set(cloud, { displayName: known?.displayName ?? cloud, infra: known?.wireInfra(region, zone) ?? cloud });
  }
  return history
    .filter((row) => live.has(row.cluster_hash) || lastMoment(row, now) >= since)
    .map((row) => {
      const current = live.get(row.cluster_hash);
      const { displayName, infra } = names.get(row.cloud) ?? { displayName: row.cloud, infra: row.cloud };
      const usage = { charges: charges.get(row.cluster_hash), from: since, to: now };
      return toCostRecord(row, { usage, displayName, infra, status: current?.status, lastEvent: current?.last_event });
    });
}

interface Usage {
  /** Absent for clusters from before costs were kept. */
  readonly charges: readonly ClusterChargeRow[] | undefined;
  readonly from: number;
  readonly to: number;
}

function costOfCluster(row: ClusterHistoryRow, usage: Usage): Cost {
  if (usage.charges !== undefined) return costOf(usage.charges, usage);
  const rate = row.price_usd_per_hour === null ? null : row.price_usd_per_hour * row.num_nodes;
  const charges = intervalsOf(row).map(([started_at, ended_at], id) => ({
    id,
    cluster_hash: row.cluster_hash,
    state: "running" as const,
    started_at,
    ended_at,
    instances_usd_per_hour: rate,
    disks_usd_per_hour: 0,
    ips_usd_per_hour: 0,
  }));
  return costOf(charges, usage);
}

function intervalsOf(row: ClusterHistoryRow): readonly UsageInterval[] {
  return JSON.parse(row.usage_intervals) as readonly UsageInterval[];
}

function lastMoment(row: ClusterHistoryRow, now: number): number {
  const last = intervalsOf(row).at(-1);
  return last === undefined ? row.launched_at : (last[1] ?? now);
}

/** Inside the window. */
function runningSeconds(intervals: readonly UsageInterval[], { from, to }: Usage): number {
  const ms = intervals.reduce((sum, [start, end]) => sum + Math.max(0, (end ?? to) - Math.max(start, from)), 0);
  return Math.floor(ms / 1000);
}

/** USD per hour of a cluster as it is; of one that is gone, as it was while it ran. */
export function hourlyCost(offer: Offer, numNodes: number, status: string | undefined): number | null {
  const rates = ratesOf(offer, numNodes, status === "STOPPED" ? "stopped" : "running");
  return rates.instances === null ? null : totalRate(rates);
}

function toCostRecord(
  row: ClusterHistoryRow,
  facts: {
    readonly usage: Usage;
    readonly displayName: string;
    readonly infra: string;
    readonly status: string | undefined;
    readonly lastEvent: string | null | undefined;
  },
): CostRecord {
  const offer = JSON.parse(row.offer) as Offer;
  const { cpus, memoryGib, accelerators } = offer.resources;
  const intervals = intervalsOf(row).map(
    ([start, end]) => [Math.floor(start / 1000), end === null ? null : Math.floor(end / 1000)] as const,
  );
  const cost = costOfCluster(row, facts.usage);
  const hasGpus = Object.keys(accelerators).length > 0;
  return {
    name: row.name,
    launched_at: Math.floor(row.launched_at / 1000),
    duration: runningSeconds(intervalsOf(row), facts.usage),
    num_nodes: row.num_nodes,
    resources: launchedResources({ offer, ports: [], labels: {} }, facts.infra),
    priority: null,
    priority_class: null,
    cluster_hash: row.cluster_hash,
    usage_intervals: intervals,
    status: facts.status ?? null,
    user_hash: row.user_hash,
    user_name: row.user_name,
    workspace: row.workspace,
    last_event: facts.lastEvent ?? null,
    node_names: "",
    last_creation_yaml: row.last_creation_yaml,
    last_creation_command: row.last_creation_command,
    total_cost: cost.totalUsd,
    cost_per_hour: hourlyCost(offer, row.num_nodes, facts.status),
    cost_details: {
      instances: cost.instancesUsd,
      disks: cost.disksUsd,
      ips: cost.ipsUsd,
      is_complete: cost.isComplete,
    },
    labels: JSON.parse(row.labels) as Readonly<Record<string, string>>,
    cloud: facts.displayName,
    region: row.region,
    cpus: formatAmount(cpus),
    memory: memoryGib.toFixed(1),
    accelerators: hasGpus ? acceleratorsText(accelerators) : "None",
    resources_str: resourcesText(offer, row.num_nodes, false),
    resources_str_full: resourcesText(offer, row.num_nodes, true),
  };
}
