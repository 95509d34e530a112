import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openCatalogs } from "../../test/support/catalogs.ts";
import { catalogFile, installCatalog, isRefreshed, whileRefreshing } from "./catalog-files.ts";
import { parseCatalogCsv } from "./csv.ts";
import { formatCatalogCsv } from "./format-csv.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot-file.ts";
import { TableBuilder } from "./table.ts";

const HEADER = "InstanceType,vCPUs,MemoryGiB,Price,SpotPrice,Region,AvailabilityZone";
const LIST = `${HEADER}\nsmall,2,4,0.1,,us-east-1,use1-az1\n`;

let home: string;
let directory: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sky-"));
  directory = join(home, ".sky", "catalogs", "v8");
});

afterEach(() => rmSync(home, { recursive: true }));

function putFile(text: string): void {
  mkdirSync(dirname(catalogFile(directory, "aws")), { recursive: true });
  writeFileSync(catalogFile(directory, "aws"), text);
}

it("a refreshed list is used instead of the bundled one, with the days that the refresh has noted", () => {
  const catalogs = openCatalogs(home);
  expect(catalogs.find("aws")?.origin.kind).toBe("snapshot");
  const dates = { onDemand: "2026-08-01", spot: "2026-08-02" };
  installCatalog(directory, "aws", LIST, { dates, sources: ["me"] });
  expect(catalogs.find("aws")?.origin).toMatchObject({ kind: "refreshed file", dates, sources: ["me"] });
  expect(
    catalogs
      .find("aws")
      ?.types()
      .map((type) => type.name),
  ).toEqual(["small"]);
});

it("a file that the user has changed counts as theirs: it is used, and never overwritten", () => {
  installCatalog(directory, "aws", LIST);
  putFile(LIST.replace("0.1", "0.2"));
  const catalogs = openCatalogs(home);
  expect(catalogs.find("aws")?.origin.kind).toBe("user file");
  expect(catalogs.find("aws")?.hourlyCost("small", { useSpot: false })).toBe(0.2);
  expect(() => installCatalog(directory, "aws", LIST)).toThrow("is a file of yours, so that it is not overwritten.");
  expect(readFileSync(catalogFile(directory, "aws"), "utf8")).toContain("0.2");
  rmSync(catalogFile(directory, "aws"));
  expect(catalogs.find("aws")?.origin.kind).toBe("snapshot");
});

it("a crash between the notes and the file makes it nobody's but the refresh's", () => {
  installCatalog(directory, "aws", LIST);
  const newer = LIST.replace("0.1", "0.3");
  const note = join(directory, ".meta", "aws", "vms.csv.md5");
  const old = readFileSync(note, "utf8");
  // As after a crash before the last note was written.
  installCatalog(directory, "aws", newer);
  const digest = readFileSync(note, "utf8");
  writeFileSync(note, old);
  writeFileSync(`${note}.next`, digest);
  expect([isRefreshed(directory, "aws", LIST), isRefreshed(directory, "aws", newer)]).toEqual([true, true]);
  installCatalog(directory, "aws", LIST);
  expect(existsSync(`${note}.next`)).toBe(false);
});

it("two refreshes of one cloud do not run at the same time", async () => {
  await whileRefreshing(directory, "aws", async () => {
    await expect(whileRefreshing(directory, "aws", () => Promise.resolve())).rejects.toThrow(
      "Another refresh of the aws catalog is running.",
    );
  });
  await expect(whileRefreshing(directory, "aws", () => Promise.resolve(1))).resolves.toBe(1);
});

it("the bundled list is the same after writing it as CSV and reading it again", () => {
  const bundled = openCatalogs(home).findRaw("aws");
  const places = (name: string) => bundled?.places(name);
  const builder = new TableBuilder();
  for (const type of bundled?.types() ?? []) {
    const position = builder.addType(type);
    for (const place of places(type.name) ?? []) {
      const price = { onDemand: place.onDemandUsd ?? NaN, spot: place.spotUsd ?? NaN };
      builder.addRow(position, builder.zone(place.region, place.zone), price);
    }
  }
  const table = builder.build();
  expect(table.typeOfRow).toHaveLength(64_394);
  const again = parseCatalogCsv(formatCatalogCsv(table), "again.csv");
  expect(again.types).toEqual(table.types);
  expect(again.onDemandOfRow).toEqual(table.onDemandOfRow);
  expect(again.spotOfRow).toEqual(table.spotOfRow);
  const info = { dates: { onDemand: "2026-01-01", spot: "2026-01-01" }, sources: [] };
  const { table: unpacked } = decodeSnapshot(encodeSnapshot({ info, table }));
  expect(unpacked.onDemandOfRow).toEqual(table.onDemandOfRow);
  expect(unpacked.zoneOfRow).toEqual(table.zoneOfRow);
});

it("a price that is no whole number of micro-dollars cannot be packed", () => {
  const builder = new TableBuilder();
  const type = parseCatalogCsv(LIST, "x").types[0];
  if (type === undefined) throw new Error("no type");
  builder.addRow(builder.addType(type), builder.zone("r", "z"), { onDemand: 0.1234567, spot: NaN });
  const info = { dates: { onDemand: "2026-01-01", spot: "2026-01-01" }, sources: [] };
  expect(() => encodeSnapshot({ info, table: builder.build() })).toThrow("0.1234567");
});
