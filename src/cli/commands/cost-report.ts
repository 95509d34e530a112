import type { CostRecord } from "../../client/wire-types.ts";
import type { Context } from "../context.ts";
import { waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { makeColors } from "../render/colors.ts";
import { renderCosts } from "../render/costs.ts";
import { printJson } from "../render/json.ts";
import type { costReportSpec } from "../specs/clusters.ts";

const ROWS_SHOWN = 5;

/** `sky cost-report`: what clusters cost, live ones first. */
export async function runCostReport({ options }: Input<typeof costReportSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const records = await waitFor(ctx, client.costReport({ days: options.days, signal: ctx.signal }));
  if (options.outputFormat === "json") {
    printJson(ctx.out, records);
    return;
  }
  const ordered = liveFirst(records);
  const shown = options.all ? ordered : ordered.slice(0, ROWS_SHOWN);
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const title = options.days > 0 ? `Clusters (last ${options.days} days)` : "Clusters";
  const table = renderCosts(shown, { colors, now: ctx.clock.now() / 1000 });
  ctx.out.write(`${title}\n${table === "" ? "" : `${table}\n`}`);
  const total = records.reduce((sum, record) => sum + record.total_cost, 0);
  ctx.out.write(`\nTotal Cost: $${total.toFixed(2)}\n`);
  if (!options.all) {
    ctx.out.write(
      `Showing up to ${ROWS_SHOWN} most recent clusters. To see all clusters in history, pass the --all flag.\n`,
    );
  }
  ctx.out.write(
    "This feature is experimental. Costs for clusters with auto{stop,down} scheduled may not be accurate.\n",
  );
}

function liveFirst(records: readonly CostRecord[]): readonly CostRecord[] {
  const isLive = (record: CostRecord): boolean => record.status !== null;
  return [...records.filter(isLive), ...records.filter((record) => !isLive(record))];
}
