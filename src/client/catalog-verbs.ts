import type { CatalogInfo } from "../shared/wire/catalog.ts";
import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

export interface CatalogUpdateOptions extends WaitOptions {
  /** Lower case; every cloud that can be refreshed from the source when absent. */
  readonly clouds?: readonly string[] | undefined;
  readonly regions?: readonly string[] | undefined;
  readonly source?: "cloud" | "published" | undefined;
  readonly url?: string | undefined;
  readonly force?: boolean;
}

/** Which price lists the server uses. */
export function catalogInfo(
  client: SkyClient,
  options: WaitOptions & { readonly clouds?: readonly string[] | undefined } = {},
): Request<readonly CatalogInfo[]> {
  const { clouds, ...wait } = options;
  return submit(client.session, "/catalog/info", client.body({ clouds: clouds ?? null }), {
    name: "sky.catalog_info",
    ...wait,
  });
}

/** Makes price lists new and tells what is in use then. */
export function updateCatalogs(client: SkyClient, options: CatalogUpdateOptions): Request<readonly CatalogInfo[]> {
  const { clouds, regions, source, url, force, ...wait } = options;
  const body = client.body({
    clouds: clouds ?? null,
    regions: regions ?? null,
    source: source ?? "cloud",
    url: url ?? null,
    force: force ?? false,
  });
  return submit(client.session, "/catalog/update", body, { name: "sky.catalog_update", ...wait });
}
