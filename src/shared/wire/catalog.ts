import { z } from "zod";
import { commonFields, flag, optionalText, optionalTexts } from "./body-fields.ts";

export const CatalogInfoBody = z.object({ ...commonFields, clouds: optionalTexts });
export type CatalogInfoBody = z.infer<typeof CatalogInfoBody>;

export const CatalogUpdateBody = z.object({
  ...commonFields,
  /** Every cloud that can be refreshed from the source when absent. */
  clouds: optionalTexts,
  /** Only these regions are read; what is known of the others stays. */
  regions: optionalTexts,
  source: z.enum(["cloud", "published"]).default("cloud"),
  /** Instead of where SkyPilot publishes; of one cloud, and from the server's own machine only. */
  url: optionalText,
  force: flag(false),
});
export type CatalogUpdateBody = z.infer<typeof CatalogUpdateBody>;

/** What is known of the catalog of one cloud. */
export const CatalogInfo = z.object({
  cloud: z.string(),
  name: z.string(),
  kind: z.enum(["user file", "refreshed file", "snapshot"]),
  path: z.string(),
  on_demand_date: z.string(),
  spot_date: z.string(),
  /** Regions whose on-demand prices are of another day. */
  on_demand_dates: z.record(z.string(), z.string()),
  instance_types: z.int(),
  regions: z.int(),
  zones: z.int(),
  rows: z.int(),
  priced_rows: z.int(),
  spot_priced_rows: z.int(),
  /** Whether zones have the account's names. */
  has_zone_names: z.boolean(),
  sources: z.array(z.string()),
});
export type CatalogInfo = z.infer<typeof CatalogInfo>;
