import { z } from "zod";
import { commonFields, optionalText, optionalTexts } from "./body-fields.ts";

export const ApiCancelBody = z.object({
  ...commonFields,
  /** Ids or prefixes; absent = all of `user_id`, or of everybody. */
  request_ids: optionalTexts,
  user_id: optionalText,
});
export type ApiCancelBody = z.infer<typeof ApiCancelBody>;

/** Full ids of the requests that were cancelled. */
export const ApiCancelResult = z.array(z.string());
