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
