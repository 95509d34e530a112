import { catalogInfo, updateCatalogs } from "../../client/catalog-verbs.ts";
import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { follow, waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { renderCatalogs } from "../render/catalogs.ts";
import { printJson } from "../render/json.ts";
import type { catalogInfoSpec, catalogUpdateSpec } from "../specs/catalog.ts";

/** `sky catalog info` */
export async function runCatalogInfo({ options }: Input<typeof catalogInfoSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const infos = await waitFor(ctx, catalogInfo(client, { clouds: listOf(options.cloud), signal: ctx.signal }));
  if (options.outputFormat === "json") printJson(ctx.out, infos);
  else ctx.out.write(`${renderCatalogs(infos, { nowMs: ctx.clock.now() })}\n`);
}

/** `sky catalog update` */
export async function runCatalogUpdate({ options }: Input<typeof catalogUpdateSpec>, ctx: Context): Promise<void> {
  if (options.url !== undefined && options.from === "cloud")
    throw new UsageError("--url and --from cloud cannot be used together.");
  const client = await ctx.openClient({ config: options.config });
  const request = updateCatalogs(client, {
    clouds: listOf(options.cloud),
    regions: listOf(options.region),
    source: options.url === undefined ? options.from : "published",
    url: options.url,
    force: options.force,
    signal: ctx.signal,
  });
  const isJson = options.outputFormat === "json";
  const infos = isJson ? await waitFor(ctx, request) : await follow(ctx, request);
  if (isJson) printJson(ctx.out, infos);
  else ctx.out.write(`${renderCatalogs(infos, { nowMs: ctx.clock.now() })}\n`);
}

function listOf(given: readonly string[]): readonly string[] | undefined {
  return given.length === 0 ? undefined : given;
}
