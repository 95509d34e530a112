import { z } from "zod";
import { commonFields } from "./body-fields.ts";

/** Body of `POST /download`; the answer is a zip of the folders. */
export const DownloadBody = z.object({
  ...commonFields,
  folder_paths: z.array(z.string()).min(1),
});
export type DownloadBody = z.infer<typeof DownloadBody>;
