import { z } from "zod";
import { commonFields, optionalTexts } from "./body-fields.ts";

export const ServeStatusBody = z.object({
  ...commonFields,
  service_names: z.union([z.string().transform((name) => [name]), optionalTexts]).optional(),
});
export type ServeStatusBody = z.infer<typeof ServeStatusBody>;
