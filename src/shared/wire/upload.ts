import { z } from "zod";

/** Query of `GET /upload_v2/blob`. */
export const BlobQuery = z.object({
  user_hash: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9-]*$/),
  blob_id: z.string().regex(/^[0-9a-f]{64}$/),
  size_bytes: z.coerce.number().int().nonnegative().optional(),
});

/** Query of `POST /upload_v2`. */
export const UploadQuery = z.object({
  user_hash: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9-]*$/),
  upload_id: z.string().regex(/^[0-9a-f]{64}$/),
  chunk_index: z.coerce.number().int().nonnegative(),
  total_chunks: z.coerce.number().int().positive().max(100_000),
});

export const UploadResult = z.object({
  status: z.enum(["uploading", "completed"]),
  /** `part<i>` of the chunks that are not there yet; null when completed. */
  missing_chunks: z.array(z.string()).nullable(),
});
export type UploadResult = z.infer<typeof UploadResult>;
