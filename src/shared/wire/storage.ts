import { z } from "zod";
import { commonFields } from "./body-fields.ts";

/** `POST /storage/delete`: one storage object by name. */
export const StorageDeleteBody = z.object({ ...commonFields, name: z.string(), force: z.boolean().default(false) });
export type StorageDeleteBody = z.infer<typeof StorageDeleteBody>;

/** One element of the `storage_ls` result: a bucket that SkyPilot made. */
export const StorageRecord = z.object({
  name: z.string(),
  /** Seconds since the epoch. */
  launched_at: z.int(),
  store: z.array(z.string()),
  /** The command that used it last; empty when it is not known. */
  last_use: z.string(),
  status: z.string(),
});
export type StorageRecord = z.infer<typeof StorageRecord>;
