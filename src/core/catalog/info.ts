import type { Catalog } from "../../catalog/catalog.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import type { CatalogInfo, CatalogInfoBody } from "../../shared/wire/catalog.ts";
import { normalizeCloud } from "../check/check.ts";
import type { Operation } from "../operation.ts";

/** Which price lists are in use, from where and of which day. */
export const catalogInfoOperation: Operation<CatalogInfoBody, readonly CatalogInfo[]> = {
  name: "catalog.info",
  wireName: "catalog_info",
  schedule: "short",
  isResumable: false,
  run: (body, context) => {
    const clouds = body.clouds?.map((cloud) => normalizeCloud(cloud, context)) ?? context.catalogs.clouds();
    return Promise.resolve(clouds.flatMap((cloud) => infoOf(context.catalogs.find(cloud)) ?? []));
  },
};

/** Undefined for a cloud without catalog. */
export function infoOf(catalog: Catalog | undefined): CatalogInfo | undefined {
  if (catalog === undefined) return undefined;
  const { cloud, origin } = catalog;
  const { rows, priced, spotPriced } = catalog.countRows();
  return {
    cloud,
    name: displayCloud(cloud),
    kind: origin.kind,
    path: origin.path,
    on_demand_date: origin.dates.onDemand,
    spot_date: origin.dates.spot,
    on_demand_dates: { ...origin.dates.onDemandByRegion },
    instance_types: new Set(catalog.types().map((type) => type.name)).size,
    regions: catalog.regions().length,
    zones: catalog.zones().length,
    rows,
    priced_rows: priced,
    spot_priced_rows: spotPriced,
    has_zone_names: catalog.zones().length > 0 && !catalog.hasZoneIds,
    sources: [...(origin.sources ?? [])],
  };
}
