import { installCatalog, refuseUserFile, whileRefreshing } from "../../catalog/catalog-files.ts";
import { downloadCatalog, publishedUrls } from "../../catalog/published.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { InvalidValueError, NotSupportedError, PermissionDeniedError } from "../../shared/errors.ts";
import type { CatalogInfo, CatalogUpdateBody } from "../../shared/wire/catalog.ts";
import { normalizeCloud } from "../check/check.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { infoOf } from "./info.ts";

/** Makes catalogs new: from the cloud itself, or from where somebody publishes them. */
export const catalogUpdateOperation: Operation<CatalogUpdateBody, readonly CatalogInfo[]> = {
  name: "catalog.update",
  wireName: "catalog_update",
  schedule: "long",
  isResumable: false,
  run: updateCatalogs,
};

async function updateCatalogs(body: CatalogUpdateBody, context: OperationContext): Promise<readonly CatalogInfo[]> {
  if (body.url !== undefined) refuseUrl(body, context);
  if (body.regions !== undefined && (body.source === "published" || body.url !== undefined))
    throw new InvalidValueError("A published price list comes whole: --region goes with --from cloud only.");
  const named = body.clouds?.map((cloud) => normalizeCloud(cloud, context));
  const clouds = named ?? (await refreshable(body, context));
  const { directory } = context.catalogs;
  for (const cloud of clouds) {
    refuseUserFile(directory, cloud);
    await whileRefreshing(directory, cloud, () =>
      body.source === "cloud" && body.url === undefined
        ? refreshFromCloud(cloud, body, context)
        : refreshFromPublished(cloud, body, context),
    );
    context.log.spinEnd();
  }
  return clouds.flatMap((cloud) => infoOf(context.catalogs.find(cloud)) ?? []);
}

/** The server fetches the address, so that others than its own user could make it call what only it can reach. */
function refuseUrl({ clouds, url }: CatalogUpdateBody, context: OperationContext): void {
  if (context.isLocalClient !== true)
    throw new PermissionDeniedError("Only the user of the API server's own machine may name an address to fetch.", {
      hint: "Run this on the server's machine, or use --from published.",
    });
  if (clouds?.length !== 1)
    throw new InvalidValueError("--url is the price list of one cloud. Say which one: --cloud aws");
  if (!URL.canParse(url ?? "") || !/^https?:/.test(url ?? ""))
    throw new InvalidValueError(`--url must be an http or https address. Found: '${url}'`);
}

async function refreshable(body: CatalogUpdateBody, context: OperationContext): Promise<readonly string[]> {
  if (body.source === "published") return context.catalogs.clouds();
  const found: string[] = [];
  for (const name of context.clouds.names()) {
    if ((await context.clouds.load(name)).refreshCatalog !== undefined) found.push(name);
  }
  return found;
}

async function refreshFromCloud(cloud: string, body: CatalogUpdateBody, context: OperationContext): Promise<void> {
  const isKnown = context.clouds.names().includes(cloud);
  const adapter = isKnown ? await context.clouds.load(cloud) : undefined;
  if (adapter?.refreshCatalog === undefined) {
    throw new NotSupportedError(`The catalog of ${displayCloud(cloud)} cannot be made from the cloud itself.`, {
      hint: `Use a published one: sky catalog update --cloud ${cloud} --from published`,
    });
  }
  const { log } = context;
  const wish = {
    ...(body.regions === undefined ? {} : { regions: body.regions }),
    isForced: body.force,
    say: (line: string) => log.line(line),
    spin: (message: string) => log.spin(message),
  };
  await adapter.refreshCatalog(wish, cloudContext(context));
}

const PROGRESS_EVERY_BYTES = 512 * 1024;

async function refreshFromPublished(cloud: string, body: CatalogUpdateBody, context: OperationContext): Promise<void> {
  const { log, signal, catalogs } = context;
  const title = `Updating the ${displayCloud(cloud)} catalog`;
  let shown = 0;
  log.spin(title);
  const text = await downloadCatalog(body.url === undefined ? publishedUrls(cloud) : [body.url], {
    signal,
    onProgress: (bytes, total) => {
      if (bytes - shown < PROGRESS_EVERY_BYTES) return;
      shown = bytes;
      log.spin(`${title}: ${megabytes(bytes)}${total === undefined ? "" : ` of ${megabytes(total)}`}`);
    },
  });
  installCatalog(catalogs.directory, cloud, text);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
