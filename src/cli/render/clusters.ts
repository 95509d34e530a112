import type { ClusterRecord } from "../../client/wire-types.ts";
import type { Colors } from "./colors.ts";
import { renderTable } from "./table.ts";
import { renderAgo } from "./time.ts";

export interface ClusterTableOptions {
  readonly colors: Colors;
  /** Epoch seconds. */
  readonly now: number;
  readonly verbose: boolean;
  readonly showUser: boolean;
  readonly showWorkspace: boolean;
}

const INFRA_WIDTH = 25;

interface Column {
  readonly title: string;
  readonly cell: (record: ClusterRecord) => string;
}

/** The cluster table of `sky status`; empty for no cluster. */
export function renderClusters(records: readonly ClusterRecord[], options: ClusterTableOptions): string {
  const columns = columnsOf(options, records.some(hasCost));
  return renderTable(
    columns.map((column) => column.title),
    records.map((record) => columns.map((column) => column.cell(record))),
  );
}

/** Columns of nothing but zeros are left out. */
function hasCost({ cost_per_hour: rate, total_cost: total }: ClusterRecord): boolean {
  return rate === null || (rate ?? 0) > 0 || (total ?? 0) > 0;
}

function amount(usd: number | null | undefined): string {
  return typeof usd === "number" ? usd.toFixed(2) : "-";
}

function columnsOf(options: ClusterTableOptions, hasCosts: boolean): readonly Column[] {
  const { colors, now, verbose } = options;
  const cut = (text: string): string =>
    verbose || text.length <= INFRA_WIDTH ? text : `${text.slice(0, INFRA_WIDTH - 3)}...`;
  const resources = (record: ClusterRecord): string =>
    (verbose ? record.resources_str_full : record.resources_str) ?? record.resources_str ?? "-";
  const when = (condition: boolean, column: Column): Column[] => (condition ? [column] : []);
  return [
    { title: "NAME", cell: (record) => record.name },
    ...when(options.showUser, { title: "USER", cell: (record) => record.user_name || "-" }),
    ...when(verbose && options.showUser, { title: "USER_ID", cell: (record) => record.user_hash || "-" }),
    ...when(options.showWorkspace || verbose, { title: "WORKSPACE", cell: (record) => record.workspace }),
    { title: "INFRA", cell: (record) => cut(infraOf(record)) },
    { title: "RESOURCES", cell: resources },
    { title: "STATUS", cell: (record) => statusOf(record, colors) },
    { title: "AUTOSTOP", cell: autostopOf },
    { title: "LAUNCHED", cell: (record) => renderAgo(record.launched_at, now) },
    ...when(verbose && hasCosts, { title: "$/HR", cell: (record) => amount(record.cost_per_hour) }),
    ...when(verbose && hasCosts, { title: "COST ($)", cell: (record) => amount(record.total_cost) }),
    ...when(verbose, { title: "HEAD_IP", cell: (record) => headIpOf(record) ?? "-" }),
    ...when(verbose, { title: "COMMAND", cell: (record) => record.last_creation_command ?? record.last_use ?? "-" }),
    ...when(verbose, { title: "LAST_EVENT", cell: (record) => record.last_event ?? "-" }),
  ];
}

/** `AWS (us-east-1a)`: the zone when it is known, else the region. */
export function infraOf(record: ClusterRecord): string {
  const parts = infraParts(record);
  const place = parts.zone ?? parts.region;
  if (parts.cloud === undefined) return "-";
  // This machine has one region, named as the cloud is.
  return place === undefined || place === parts.cloud.toLowerCase() ? parts.cloud : `${parts.cloud} (${place})`;
}

function infraParts(record: ClusterRecord): { cloud?: string; region?: string; zone?: string } {
  const { handle } = record;
  const launched = typeof handle === "object" && handle !== null ? handle.launched_resources : undefined;
  const infra = launched?.["infra"];
  const [, region, zone] = typeof infra === "string" ? infra.split("/") : [];
  const known = typeof infra === "string" ? infra.split("/")[0] : undefined;
  const cloud = record.cloud ?? known;
  return definedOnly({ cloud: cloud ?? undefined, region: record.region ?? region, zone: record.zone ?? zone });
}

function definedOnly(parts: Readonly<Record<string, string | null | undefined>>): Record<string, string> {
  const entries = Object.entries(parts).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "",
  );
  return Object.fromEntries(entries);
}

/** Address of the head node that users reach: external, else internal. */
export function headIpOf(record: ClusterRecord): string | undefined {
  const { handle, credentials } = record;
  if (typeof handle !== "object" || handle === null) return undefined;
  const node = credentials?.ssh_nodes?.[0];
  if (node !== undefined) return node.host;
  const [first] = handle.stable_internal_external_ips ?? [];
  return first === undefined ? undefined : first[1] || first[0];
}

function statusOf(record: ClusterRecord, colors: Colors): string {
  if (record.status === "INIT" && record.init_kind === "unhealthy") return colors.red("UNHEALTHY");
  switch (record.status) {
    case "UP":
      return colors.green(record.status);
    case "STOPPED":
    case "AUTOSTOPPING":
      return colors.yellow(record.status);
    case "INIT":
    case "PENDING":
      return colors.blue(record.status);
  }
}

function autostopOf(record: ClusterRecord): string {
  const { autostop, to_down: down } = record;
  if (autostop < 0) return down ? "(down)" : "-";
  const time = autostop > 0 && autostop % 60 === 0 ? `${autostop / 60}h` : `${autostop}m`;
  return down ? `${time} (down)` : time;
}
