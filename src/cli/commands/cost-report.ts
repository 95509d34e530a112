import type { CostRecord } from "../../client/wire-types.ts";
import type { Context } from "../context.ts";
import { waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import { UsageError } from "../../shared/errors.ts";
import { detailsText, renderCosts, renderSums, sumBy } from "../render/costs.ts";
import { printJson } from "../render/json.ts";
import type { costReportSpec } from "../specs/clusters.ts";

const ROWS_SHOWN = 5;

type Options = Input<typeof costReportSpec>["options"];

/** `sky cost-report`: what clusters cost, live ones first, or sums of them. */
export async function runCostReport({ options }: Input<typeof costReportSpec>, ctx: Context): Promise<void> {
  const keyOf = options.by === undefined ? undefined : groupKey(options.by);
  const isMeant = filterOf(options);
  const client = await ctx.openClient({ config: options.config });
  const all = await waitFor(ctx, client.costReport({ days: options.days, signal: ctx.signal }));
  const records = all.filter(isMeant);
  if (options.outputFormat === "json") {
    printJson(ctx.out, keyOf === undefined ? records : sumBy(records, keyOf));
    return;
  }
  const title = options.days > 0 ? `Clusters (last ${options.days} days)` : "Clusters";
  const table =
    keyOf === undefined ? clusterTable(records, options, ctx) : renderSums(sumBy(records, keyOf), options.by ?? "");
  ctx.out.write(`${title}\n${table === "" ? "" : `${table}\n`}`);
  ctx.out.write(`\nTotal Cost: $${sumOf(records).toFixed(2)}${detailsText(records)}\n`);
  if (!options.all && keyOf === undefined) {
    ctx.out.write(
      `Showing up to ${ROWS_SHOWN} most recent clusters. To see all clusters in history, pass the --all flag.\n`,
    );
  }
  ctx.out.write(
    "This feature is experimental. Costs for clusters with auto{stop,down} scheduled may not be accurate.\n",
  );
}

function clusterTable(records: readonly CostRecord[], options: Options, ctx: Context): string {
  const ordered = liveFirst(records);
  const shown = options.all ? ordered : ordered.slice(0, ROWS_SHOWN);
  return renderCosts(shown, { colors: makeColors(ctx.env, ctx.out.isTTY), now: ctx.clock.now() / 1000 });
}

function filterOf({ user, workspace, label }: Options): (record: CostRecord) => boolean {
  const [key = "", ...rest] = label?.split("=") ?? [];
  if (label !== undefined && !label.includes("=")) throw new UsageError("--label needs key=value.");
  return (record) =>
    (user === undefined || user === record.user_name || user === record["user_hash"]) &&
    (workspace === undefined || workspace === record.workspace) &&
    (label === undefined || record.labels?.[key] === rest.join("="));
}

function groupKey(by: string): (record: CostRecord) => string {
  const [kind, label = ""] = by.split("=");
  if (kind === "user") return (record) => record.user_name ?? "-";
  if (kind === "workspace") return (record) => record.workspace ?? "-";
  if (kind === "infra") return (record) => `${String(record["cloud"])} (${String(record["region"])})`;
  if (kind === "label" && label !== "") return (record) => record.labels?.[label] ?? "-";
  throw new UsageError("--by needs user, workspace, infra or label=KEY.");
}

function sumOf(records: readonly CostRecord[]): number {
  return records.reduce((sum, record) => sum + record.total_cost, 0);
}

function liveFirst(records: readonly CostRecord[]): readonly CostRecord[] {
  const isLive = (record: CostRecord): boolean => record.status !== null;
  return [...records.filter(isLive), ...records.filter((record) => !isLive(record))];
}
