import { z } from "zod";
import { commonFields } from "./body-fields.ts";

export const EndpointsBody = z.object({
  ...commonFields,
  cluster: z.string(),
  port: z
    .union([z.int(), z.string()])
    .nullish()
    .transform((given) => (given === null || given === undefined ? undefined : String(given))),
});
export type EndpointsBody = z.infer<typeof EndpointsBody>;
