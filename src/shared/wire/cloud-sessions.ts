import { z } from "zod";

/** Credentials in use that end. */
export const CloudSessionsResult = z.array(
  z.object({
    cloud: z.string(),
    kind: z.string(),
    profile: z.string().nullable(),
    /** Seconds since the epoch. */
    expires_at: z.number(),
  }),
);
export type CloudSessionsResult = z.infer<typeof CloudSessionsResult>;
