import { z } from "zod";

export const RequestStatus = z.enum(["PENDING", "WAITING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]);

/** A request as `/api/get`, its 500 and `/api/status` show it. */
export const RequestPayload = z.object({
  request_id: z.string(),
  name: z.string(),
  entrypoint: z.string(),
  request_body: z.string(),
  status: RequestStatus,
  user_id: z.string(),
  /** JSON text. */
  return_value: z.string(),
  /** JSON text: null or a WireError. */
  error: z.string(),
  /** Seconds since the epoch. */
  created_at: z.number(),
  pid: z.int().nullable(),
  schedule_type: z.enum(["short", "long"]),
  user_name: z.string().nullish(),
  cluster_name: z.string().nullish(),
  status_msg: z.string().nullish(),
  should_retry: z.boolean().optional(),
  finished_at: z.number().nullish(),
  file_mounts_blob_id: z.string().nullish(),
});
export type RequestPayload = z.infer<typeof RequestPayload>;

/** Columns that `fields` of `/api/status` may name. */
export const REQUEST_FIELDS: readonly string[] = Object.keys(RequestPayload.shape);

/** base64 of a pickled None: what the official client unpickles for `entrypoint` and `request_body`, and never uses. */
export const PICKLED_NONE = "gAROLg==";
