import type { StorageRecord } from "../../shared/wire/storage.ts";
import { renderTable } from "./table.ts";
import { renderAgo } from "./time.ts";

const HEADER = ["NAME", "UPDATED", "STORE", "COMMAND", "STATUS"] as const;
const COMMAND_WIDTH = 27;

/** The table of buckets, empty when there is none; `now` is in epoch seconds. */
export function renderStorage(
  records: readonly StorageRecord[],
  options: { readonly isWhole: boolean; readonly now: number },
): string {
  if (records.length === 0) return "";
  return renderTable(
    HEADER,
    records.map((record) => [
      record.name,
      renderAgo(record.launched_at, options.now),
      record.store.join(", "),
      commandText(record.last_use, options.isWhole),
      record.status,
    ]),
  );
}

function commandText(command: string, isWhole: boolean): string {
  if (command === "") return "-";
  return isWhole || command.length <= COMMAND_WIDTH ? command : `${command.slice(0, COMMAND_WIDTH - 3)}...`;
}
