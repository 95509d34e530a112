import { acceleratorsWithMemory, canonicalAccelerator } from "../../catalog/accelerators.ts";
import type { Catalog } from "../../catalog/catalog.ts";
import type { Catalogs } from "../../catalog/catalogs.ts";
import type { CatalogFacts } from "../resources/resources.ts";

/** What the validation of tasks asks of the catalogs; a cloud without catalog knows no regions and is not checked. */
export function catalogFacts(catalogs: Catalogs): CatalogFacts {
  const all = (cloud?: string): readonly Catalog[] =>
    (cloud === undefined ? catalogs.clouds() : [cloud]).flatMap((name) => catalogs.find(name) ?? []);
  return {
    canonicalAccelerator: (name) =>
      canonicalAccelerator(
        name,
        all().flatMap((one) => one.acceleratorNames()),
      ),
    acceleratorsWithMemory,
    instanceType: (name, cloud) => {
      const found = all(cloud).flatMap((catalog) => catalog.findType(name) ?? []);
      const [first] = found;
      if (first === undefined) return undefined;
      const { vcpus = NaN, memoryGib = NaN, accelerator } = first;
      return { vcpus, memoryGib, accelerators: accelerator };
    },
    regions: (cloud) => catalogs.find(cloud)?.regions() ?? [],
    zones: (cloud, region) => {
      const catalog = catalogs.find(cloud);
      // Users write names of zones; as long as only ids are known, nothing can be said about them.
      return catalog === undefined || catalog.hasZoneIds ? [] : catalog.zones(region);
    },
  };
}
