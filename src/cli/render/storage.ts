import type { StorageRecord } from "../../shared/wire/storage.ts";
import { renderTable } from "./table.ts";
import { renderAgo } from "./time.ts";

const HEADER = ["NAME", "UPDATED", "STORE", "COMMAND", "STATUS"] as const;
/** Longer commands are cut after so many characters. */
const COMMAND_WIDTH = 25;

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
  // By characters, of which some are two of JavaScript's units.
  const characters = Array.from(command);
  return isWhole || characters.length <= COMMAND_WIDTH ? command : `${characters.slice(0, COMMAND_WIDTH).join("")}...`;
}
