import type { Catalog } from "../../catalog/catalog.ts";
import {
  listAccelerators,
  regionsLike,
  type AcceleratorFilter,
  type AcceleratorRow,
} from "../../catalog/list-accelerators.ts";
import { closeWords } from "../../shared/config/closest.ts";
import { InvalidValueError, NotSupportedError } from "../../shared/errors.ts";
import { JsonText } from "../../shared/json-text.ts";
import { reprFloat } from "../../shared/yaml-repr.ts";
import { normalizeCloud } from "../check/check.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { displayCloud } from "../../shared/cloud-names.ts";

export interface ListAcceleratorsBody {
  readonly gpus_only: boolean;
  readonly name_filter?: string | undefined;
  readonly region_filter?: string | undefined;
  readonly quantity_filter?: number | undefined;
  readonly clouds?: readonly string[] | undefined;
  readonly all_regions: boolean;
  readonly case_sensitive: boolean;
}

export const listAcceleratorsOperation: Operation<ListAcceleratorsBody, JsonText> = {
  name: "catalog.list_accelerators",
  wireName: "list_accelerators",
  schedule: "short",
  isResumable: false,
  run: (body, context) => Promise.resolve(toWire(collect(body, context))),
};

export const listAcceleratorCountsOperation: Operation<
  ListAcceleratorsBody,
  Readonly<Record<string, readonly number[]>>
> = {
  name: "catalog.list_accelerator_counts",
  wireName: "list_accelerator_counts",
  schedule: "short",
  isResumable: false,
  run: (body, context) =>
    Promise.resolve(
      mapValues(collect(body, context), (rows) => [...new Set(rows.map(({ row }) => row.count))].sort((a, b) => a - b)),
    ),
};

interface CloudRow {
  readonly cloud: string;
  readonly row: AcceleratorRow;
}

/** Rows by accelerator, names in order; clouds as they were asked for. @throws InvalidValueError for an unknown place */
function collect(body: ListAcceleratorsBody, context: OperationContext): ReadonlyMap<string, readonly CloudRow[]> {
  const { catalogs } = context;
  const names = body.clouds?.map((cloud) => normalizeCloud(cloud, context)) ?? catalogs.clouds();
  const found = [...new Set(names)].flatMap((cloud) => catalogs.find(cloud) ?? []);
  if (body.clouds !== undefined && found.length === 0) throw noCatalog(names);
  if (body.region_filter !== undefined) requireRegion(body.region_filter, found);
  const filter: AcceleratorFilter = {
    name: body.name_filter,
    isCaseSensitive: body.case_sensitive,
    count: body.quantity_filter,
    region: body.region_filter,
    allRegions: body.all_regions,
    gpusOnly: body.gpus_only,
  };
  const groups = new Map<string, CloudRow[]>();
  for (const catalog of found) {
    const cloud = displayCloud(catalog.cloud);
    for (const [name, rows] of listAccelerators(catalog, filter)) {
      const known = groups.get(name) ?? [];
      known.push(...rows.map((row) => ({ cloud, row })));
      groups.set(name, known);
    }
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function noCatalog(clouds: readonly string[]): NotSupportedError {
  const [first = ""] = clouds;
  return new NotSupportedError(`There is no catalog of ${clouds.map(displayCloud).join(", ")} in this version.`, {
    hint: `A price list in the layout of SkyPilot 0.14 is used when it is at ~/.sky/catalogs/v8/${first}/vms.csv of the API server.`,
  });
}

function requireRegion(region: string, catalogs: readonly Catalog[]): void {
  if (catalogs.length === 0 || catalogs.some((catalog) => regionsLike(catalog, region).length > 0)) return;
  const known = [...new Set(catalogs.flatMap((catalog) => catalog.regions()))];
  const close = [...closeWords(region, known, 5)].sort();
  const hint =
    close.length > 0 ? `Did you mean one of these: '${close.join(", ")}'?` : `Regions: '${known.sort().join(", ")}'`;
  throw new InvalidValueError(`Invalid region '${region}'\n${hint}`);
}

/** Lists of ten values, of which the official client makes tuples. It shows amounts only if they are floats: 8.0, not 8. */
function toWire(groups: ReadonlyMap<string, readonly CloudRow[]>): JsonText {
  const lists = [...groups].map(([name, rows]) => `${JSON.stringify(name)}:[${rows.map(rowText).join(",")}]`);
  return new JsonText(`{${lists.join(",")}}`);
}

function rowText({ cloud, row }: CloudRow): string {
  const values = [
    JSON.stringify(cloud),
    JSON.stringify(row.instanceType === "" ? null : row.instanceType),
    JSON.stringify(row.name),
    floatText(row.count),
    floatText(row.cpus),
    floatText(row.deviceMemoryGib),
    floatText(row.memoryGib),
    floatText(row.onDemandUsd),
    floatText(row.spotUsd),
    JSON.stringify(row.region),
  ];
  return `[${values.join(",")}]`;
}

function floatText(value: number | undefined): string {
  return value === undefined ? "null" : reprFloat(value);
}

function mapValues<A, B>(map: ReadonlyMap<string, A>, change: (value: A) => B): Readonly<Record<string, B>> {
  return Object.fromEntries([...map].map(([key, value]) => [key, change(value)]));
}
