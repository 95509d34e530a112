import { z } from "zod";

/** Result of `workspaces.get`: the configuration of each, and what the caller may do. */
export const WorkspacesResult = z.record(z.string(), z.looseObject({ writable: z.boolean(), read_only: z.boolean() }));
export type WorkspacesResult = z.infer<typeof WorkspacesResult>;
