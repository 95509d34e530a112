import { listClusterHistory, type ClusterHistoryRow } from "../../db/queries/clusters-history.ts";
import { listClusters } from "../../db/queries/clusters.ts";
import { formatAmount } from "../optimizer/ruled-table.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { Offer } from "../ports/cloud.ts";
import type { CostReportBody } from "./bodies.ts";
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
  readonly total_cost: number;
  readonly cloud: string;
  readonly region: string;
  readonly cpus: string;
  readonly memory: string;
  readonly accelerators: string;
  readonly resources_str: string;
  readonly resources_str_full: string;
}

const DAY_MS = 86_400_000;
const HOUR_SECONDS = 3600;

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
      return toCostRecord(row, { now, displayName, infra, status: current?.status, lastEvent: current?.last_event });
    });
}

function intervalsOf(row: ClusterHistoryRow): readonly UsageInterval[] {
  return JSON.parse(row.usage_intervals) as readonly UsageInterval[];
}

function lastMoment(row: ClusterHistoryRow, now: number): number {
  const last = intervalsOf(row).at(-1);
  return last === undefined ? row.launched_at : (last[1] ?? now);
}

function toCostRecord(
  row: ClusterHistoryRow,
  facts: {
    readonly now: number;
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
  const seconds = Math.floor(facts.now / 1000);
  const duration = intervals.reduce((sum, [start, end]) => sum + (end ?? seconds) - start, 0);
  const hasGpus = Object.keys(accelerators).length > 0;
  return {
    name: row.name,
    launched_at: Math.floor(row.launched_at / 1000),
    duration,
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
    total_cost: ((row.price_usd_per_hour ?? 0) * row.num_nodes * duration) / HOUR_SECONDS,
    cloud: facts.displayName,
    region: row.region,
    cpus: formatAmount(cpus),
    memory: memoryGib.toFixed(1),
    accelerators: hasGpus ? acceleratorsText(accelerators) : "None",
    resources_str: resourcesText(offer, row.num_nodes, false),
    resources_str_full: resourcesText(offer, row.num_nodes, true),
  };
}
