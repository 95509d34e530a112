/** Reads `api_server.<key>` of a merged client config. */
export function endpointSetting(
  config: Readonly<Record<string, unknown>>,
  key: "endpoint" | "service_account_token" = "endpoint",
): string | undefined {
  const section = config["api_server"];
  if (typeof section !== "object" || section === null) return undefined;
  const value = (section as Record<string, unknown>)[key];
  return typeof value === "string" ? value : undefined;
}
