import type { CostRecord } from "../../client/wire-types.ts";
import type { Colors } from "./colors.ts";
import { colorStatus } from "./managed.ts";
import { renderTable } from "./table.ts";
import { renderAgo, renderDuration } from "./time.ts";

const HEADER = ["NAME", "LAUNCHED", "DURATION", "RESOURCES", "STATUS", "COST/hr", "COST (est.)"] as const;

/** The cost table; `now` is in epoch seconds. */
export function renderCosts(
  records: readonly CostRecord[],
  options: { readonly colors: Colors; readonly now: number },
): string {
  return renderTable(
    HEADER,
    records.map((record) => [
      record.name,
      renderAgo(record.launched_at, options.now),
      renderDuration(record.duration),
      record.resources_str_full ?? record.resources_str ?? "-",
      record.status === null ? options.colors.dim("TERMINATED") : colorStatus(record.status, options.colors),
      dollars(hourlyCost(record)),
      dollars(record.total_cost),
    ]),
  );
}

function hourlyCost(record: CostRecord): number | undefined {
  if (typeof record.cost_per_hour === "number") return record.cost_per_hour;
  const { duration } = record;
  return duration === null || duration <= 0 ? undefined : (record.total_cost / duration) * 3600;
}

function dollars(amount: number | undefined): string {
  return amount === undefined ? "-" : `$ ${amount.toFixed(2)}`;
}

/** What the clusters with one user, workspace or the like cost together; USD. */
export interface CostSum {
  readonly key: string;
  readonly clusters: number;
  readonly live: number;
  /** Of live clusters now. */
  readonly cost_per_hour: number;
  readonly instances: number;
  readonly disks: number;
  readonly ips: number;
  readonly total_cost: number;
}

/** The dearest first. */
export function sumBy(records: readonly CostRecord[], keyOf: (record: CostRecord) => string): readonly CostSum[] {
  const groups = [...Map.groupBy(records, keyOf)].map(([key, own]): CostSum => {
    const live = own.filter((record) => record.status !== null);
    const sum = (read: (record: CostRecord) => number | null | undefined): number =>
      own.reduce((total, record) => total + (read(record) ?? 0), 0);
    return {
      key,
      clusters: own.length,
      live: live.length,
      cost_per_hour: live.reduce((total, record) => total + (record.cost_per_hour ?? 0), 0),
      instances: sum((record) => record.cost_details?.instances ?? record.total_cost),
      disks: sum((record) => record.cost_details?.disks),
      ips: sum((record) => record.cost_details?.ips),
      total_cost: sum((record) => record.total_cost),
    };
  });
  return groups.sort((a, b) => b.total_cost - a.total_cost || (a.key < b.key ? -1 : 1));
}

export function renderSums(sums: readonly CostSum[], by: string): string {
  return renderTable(
    [
      by.replace(/^label=/, "").toUpperCase(),
      "CLUSTERS",
      "LIVE",
      "COST/hr",
      "INSTANCES",
      "DISKS",
      "IPv4",
      "COST (est.)",
    ],
    sums.map((one) => [
      one.key,
      String(one.clusters),
      String(one.live),
      ...[one.cost_per_hour, one.instances, one.disks, one.ips, one.total_cost].map(dollars),
    ]),
  );
}

/** Says what else but instances is in a total, and that a price is not known. */
export function detailsText(records: readonly CostRecord[]): string {
  const sum = (part: "disks" | "ips"): number =>
    records.reduce((total, record) => total + (record.cost_details?.[part] ?? 0), 0);
  const parts = [
    ...(sum("disks") > 0 ? [`disks $${sum("disks").toFixed(2)}`] : []),
    ...(sum("ips") > 0 ? [`public IPv4 $${sum("ips").toFixed(2)}`] : []),
    ...(records.some((record) => record.cost_details?.is_complete === false) ? ["some prices are not known"] : []),
  ];
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
