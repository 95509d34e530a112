import { z } from "zod";
import { commonFields, optionalText, optionalTexts } from "./body-fields.ts";

export const DownloadLogsBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  /** Absent = the latest job. */
  job_ids: optionalTexts,
  /** Ignored: the server chooses the directory. */
  local_dir: optionalText,
});
export type DownloadLogsBody = z.infer<typeof DownloadLogsBody>;

/** Job id to a directory of the server, to be fetched with `/download`. */
export const DownloadLogsResult = z.record(z.string(), z.string());
export type DownloadLogsResult = z.infer<typeof DownloadLogsResult>;
