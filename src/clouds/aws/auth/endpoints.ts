import { variable, type AwsEnvironment } from "./environment.ts";
import { textOption, type SharedFiles } from "./shared-files.ts";
import { requireText } from "./json.ts";

/** What `AWS_ENDPOINT_URL_<NAME>` and `[services …]` call a service, by the name that its clients have. */
const SETTING_NAMES: Readonly<Record<string, string>> = {
  servicequotas: "service_quotas",
  "sso-oidc": "sso_oidc",
};

/**
 * The URL that the variables or the profile set for a service (`sts`, `ec2`, `s3`, `iam`, `servicequotas`, `ecr`, `sso`, `sso-oidc`,
 * `signin`); undefined = AWS's own.
 */
export function configuredEndpoint(
  service: string,
  from: { readonly environment: AwsEnvironment; readonly files: SharedFiles; readonly profile: string },
): string | undefined {
  const { environment, files } = from;
  if (/^true$/iu.test(variable(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") ?? "")) return undefined;
  const name = SETTING_NAMES[service] ?? service;
  const section = files.profiles.get(from.profile);
  const block = files.services.get(textOption(section, "services") ?? "")?.get(name);
  return (
    variable(environment, `AWS_ENDPOINT_URL_${name.toUpperCase()}`) ??
    variable(environment, "AWS_ENDPOINT_URL") ??
    (typeof block === "object" ? block.get("endpoint_url") : undefined) ??
    textOption(section, "endpoint_url")
  );
}

const HOSTS: Readonly<Record<string, string>> = {
  "sso-oidc": "oidc.{region}",
  sso: "portal.sso.{region}",
  signin: "{region}.signin.aws",
  sts: "sts.{region}",
};

/** AWS's own URL of a service in a region. */
export function awsEndpoint(service: string, region: string): string {
  const host = requireText(HOSTS[service], service).replace("{region}", region);
  const suffix = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return service === "signin" ? `https://${host}.amazon.com` : `https://${host}.${suffix}`;
}

/** The region of calls that name none. */
export function configuredRegion(environment: AwsEnvironment, files: SharedFiles, profile: string): string | undefined {
  return (
    variable(environment, "AWS_REGION") ??
    variable(environment, "AWS_DEFAULT_REGION") ??
    textOption(files.profiles.get(profile), "region")
  );
}
