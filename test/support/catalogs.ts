import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Catalogs } from "../../src/catalog/catalogs.ts";

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));

/** Catalogs of a user whose home that is, on top of the bundled ones. */
export function openCatalogs(home: string): Catalogs {
  return new Catalogs({
    directory: join(home, ".sky", "catalogs", "v8"),
    snapshots: fileURLToPath(new URL("../../src/catalog/snapshots", import.meta.url)),
  });
}

/** Gives the user of that home the names that an account has for the zones of 23 regions of AWS. */
export function installZoneNames(home: string): void {
  const directory = join(home, ".sky", "catalogs", "v8", "aws");
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(fixtures, "catalog", "aws-az-mapping.csv"), join(directory, "az_mappings-00000000.csv"));
}

/** What SkyPilot 0.14.1 printed for `sky gpus list` with those zone names. */
export interface RecordedList {
  readonly args: readonly string[];
  readonly stdout: string;
  readonly exitCode: number;
}

export function readRecordedLists(): readonly RecordedList[] {
  const text = readFileSync(join(fixtures, "gpus-list.json"), "utf8");
  return (JSON.parse(text) as { readonly cases: readonly RecordedList[] }).cases;
}
