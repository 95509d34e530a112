import { z } from "zod";

/** Answer of `GET /api/health`. */
export const HealthResult = z.object({
  status: z.enum(["healthy", "unhealthy", "version_mismatch", "needs_auth"]),
  /** Text, although a number. */
  api_version: z.string(),
  version: z.string(),
  version_on_disk: z.string(),
  commit: z.string(),
  basic_auth_enabled: z.boolean(),
  user: z.object({ id: z.string(), name: z.string() }).nullable(),
  service_account_token_enabled: z.boolean(),
  ingress_basic_auth_enabled: z.boolean(),
  latest_version: z.string().nullable(),
  external_proxy_auth_enabled: z.boolean(),
  telemetry_enabled: z.boolean(),
  restrict_config_to_admins: z.boolean(),
});
export type HealthResult = z.infer<typeof HealthResult>;
