/**
 * Makes a bundled catalog of a `vms.csv` in the layout of SkyPilot 0.14.1:
 *
 *     node scripts/catalog-snapshot.ts aws path/to/vms.csv[.gz]
 *
 * Where the figures of the snapshot in this repository come from is said in SOURCES and kept in the file itself; `sky catalog info`
 * shows it. Nothing is estimated: what a source does not have stays unknown.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { parseCatalogCsv } from "../src/catalog/csv.ts";
import { encodeSnapshot, type SnapshotInfo } from "../src/catalog/snapshot-file.ts";

const SOURCES: Readonly<Record<string, SnapshotInfo>> = {
  aws: {
    dates: { onDemand: "2025-04-24", spot: "2025-04-24", onDemandByRegion: { "us-east-1": "2026-07-20" } },
    sources: [
      "Instance types and the zones that offer them: EC2 DescribeInstanceTypes and DescribeInstanceTypeOfferings responses in the PyPI package moto 5.2.5 (Apache-2.0), mid-2026",
      "On-demand prices of us-east-1 except metal types: Go module github.com/aws/karpenter-provider-aws v1.15.1 (Apache-2.0), 2026-07-20",
      "Other on-demand prices and regional spot prices (the lowest of the region): Go module github.com/cristim/ec2-instances-info v0.0.0-20250528091325 (MIT), 2025-04-24",
      "Prices of p3dn, p4d, p4de, p5, p5e, p5en, p6-b200, p6-b300: SkyPilot's hosted catalog v8, commit 00148f2af3, 2025-H2",
    ],
  },
};

const [cloud = "", csv = ""] = process.argv.slice(2);
const info = SOURCES[cloud];
if (info === undefined || csv === "") {
  process.stderr.write(`Usage: node scripts/catalog-snapshot.ts ${Object.keys(SOURCES).join("|")} vms.csv[.gz]\n`);
  process.exit(2);
}
const bytes = readFileSync(csv);
const table = parseCatalogCsv((csv.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8"), csv);
const folder = fileURLToPath(new URL("../src/catalog/snapshots", import.meta.url));
mkdirSync(folder, { recursive: true });
const snapshot = encodeSnapshot({ info, table });
writeFileSync(`${folder}/${cloud}.catalog`, snapshot);
process.stdout.write(`${table.typeOfRow.length} rows, ${table.types.length} types, ${snapshot.length} bytes\n`);
