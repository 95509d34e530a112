import type { CatalogInfo } from "../../shared/wire/catalog.ts";
import { renderTable } from "./table.ts";

const DAY_MS = 86_400_000;
/** Prices change a few times a year; older ones are worth a word. */
const OLD_DAYS = 60;

/** One row for each cloud, then where the figures are from and what can be done about old ones. */
export function renderCatalogs(infos: readonly CatalogInfo[], options: { readonly nowMs: number }): string {
  if (infos.length === 0) return "No catalogs.";
  const header = [
    "CLOUD",
    "CATALOG",
    "TYPES",
    "REGIONS",
    "ZONES",
    "PRICED",
    "PRICES OF",
    "SPOT PRICED",
    "SPOT PRICES OF",
  ];
  const rows = infos.map((info) => [
    info.name,
    info.kind,
    String(info.instance_types),
    String(info.regions),
    `${info.zones}${info.has_zone_names ? "" : " (ids)"}`,
    share(info.priced_rows, info.rows),
    onDemandDays(info),
    share(info.spot_priced_rows, info.rows),
    info.spot_date,
  ]);
  return [renderTable(header, rows), ...infos.flatMap((info) => detailsOf(info, options.nowMs))].join("\n");
}

function share(part: number, whole: number): string {
  return whole === 0 ? "-" : `${Math.round((100 * part) / whole)}%`;
}

function onDemandDays(info: CatalogInfo): string {
  const others = Object.entries(info.on_demand_dates).map(([region, day]) => `${region} ${day}`);
  return [info.on_demand_date, ...others].join(", ");
}

function detailsOf(info: CatalogInfo, nowMs: number): readonly string[] {
  const lines = ["", `${info.name}: ${info.path}`, ...info.sources.map((source) => `  ${source}`)];
  if (info.kind === "user file") lines.push("  A file of yours: it is never overwritten.");
  const days = Math.floor((nowMs - Date.parse(info.on_demand_date)) / DAY_MS);
  if (info.kind !== "user file" && days > OLD_DAYS)
    lines.push(`  Most prices are ${days} days old. To make them new: sky catalog update --cloud ${info.cloud}`);
  return lines;
}
