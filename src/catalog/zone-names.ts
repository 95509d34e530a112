import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const HEADER = "AvailabilityZoneName,AvailabilityZone";

/** File with an account's names for the zones, by the provider's ids; names are a property of the account. */
export function zoneNamesFile(account: string): string {
  const digest = createHash("md5").update(account).digest("hex").slice(0, 8);
  return `az_mappings-${digest}.csv`;
}

/**
 * The mapping to use: the account's own when the account is known, else the newest there is. `directory` is that of the cloud's
 * catalog files. Undefined when there is none.
 */
export function findZoneNames(directory: string, account?: string): { path: string; stamp: string } | undefined {
  if (account !== undefined) return stampOf(join(directory, zoneNamesFile(account)));
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => /^az_mappings-.*\.csv$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const found = names.flatMap((name) => stampOf(join(directory, name)) ?? []);
  return found.sort((a, b) => b.modifiedMs - a.modifiedMs)[0];
}

function stampOf(path: string): { path: string; stamp: string; modifiedMs: number } | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return { path, stamp: `${path}:${stat.mtimeMs}:${stat.size}`, modifiedMs: stat.mtimeMs };
}

/** Zone id → the account's name. */
export function readZoneNames(path: string): ReadonlyMap<string, string> {
  const [header = "", ...lines] = readFileSync(path, "utf8").split(/\r?\n/);
  const columns = header.split(",");
  const [nameAt, idAt] = HEADER.split(",").map((column) => columns.indexOf(column));
  const rows = lines.filter((line) => line !== "").map((line) => line.split(","));
  return new Map(rows.map((row) => [row[idAt ?? -1] ?? "", row[nameAt ?? -1] ?? ""]));
}
