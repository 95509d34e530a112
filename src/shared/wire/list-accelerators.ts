import { z } from "zod";
import { commonFields, flag, optionalInteger, optionalText, optionalTexts } from "./body-fields.ts";

export const ListAcceleratorsBody = z.object({
  ...commonFields,
  gpus_only: flag(true),
  name_filter: optionalText,
  region_filter: optionalText,
  quantity_filter: optionalInteger,
  clouds: z
    .union([z.string().transform((cloud) => [cloud]), optionalTexts])
    .optional()
    .transform((given) => given ?? undefined),
  all_regions: flag(false),
  require_price: flag(true),
  case_sensitive: flag(true),
});
export type ListAcceleratorsBody = z.infer<typeof ListAcceleratorsBody>;
