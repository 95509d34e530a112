import { z } from "zod";
import { commonFields } from "./body-fields.ts";

/** `POST /storage/delete`: one storage object by name. */
export const StorageDeleteBody = z.object({ ...commonFields, name: z.string() });
export type StorageDeleteBody = z.infer<typeof StorageDeleteBody>;
