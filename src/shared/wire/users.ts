import { z } from "zod";

export const UserRecord = z.object({
  id: z.string(),
  name: z.string(),
  /** Seconds since the epoch. */
  created_at: z.int(),
  role: z.enum(["admin", "user", "viewer"]),
  user_type: z.string(),
});
export type UserRecord = z.infer<typeof UserRecord>;

export const UserRole = z.object({ id: z.string(), name: z.string(), role: z.enum(["admin", "user", "viewer"]) });

/** Answer of `GET /users/me/workspace`. */
export const MyWorkspace = z.object({
  workspace: z.string().nullable(),
  source: z.string(),
  note: z.string().nullable(),
  preferred: z.string().nullable(),
  accessible: z.array(z.string()),
  read_only: z.array(z.string()),
});
export type MyWorkspace = z.infer<typeof MyWorkspace>;
