import { configInvalid } from "../errors.ts";
import type { IniSection } from "../../../shared/ini.ts";
import { textOption, type SharedFiles } from "./shared-files.ts";
import type { SsoSource } from "./source.ts";

/** Options of an sso-session or, in the legacy form, of the profile. */
export interface SsoSettings {
  readonly sessionName?: string;
  readonly startUrl: string;
  readonly ssoRegion: string;
  readonly scopes: readonly string[];
}

/** The SSO role that a profile names; undefined when it names none. Throws AwsAuthError when the settings are not complete. */
export function resolveSso(files: SharedFiles, profile: string): SsoSource | undefined {
  const section = files.profiles.get(profile);
  const accountId = textOption(section, "sso_account_id");
  const roleName = textOption(section, "sso_role_name");
  if (section === undefined || (accountId === undefined && roleName === undefined)) return undefined;
  const { sessionName, startUrl, ssoRegion } = requireSsoSettings(files, profile, section);
  const missing = [accountId === undefined ? "sso_account_id" : "", roleName === undefined ? "sso_role_name" : ""];
  if (accountId === undefined || roleName === undefined) throw incomplete(profile, missing);
  return {
    kind: "sso",
    profile,
    startUrl,
    ssoRegion,
    accountId,
    roleName,
    ...(sessionName === undefined ? {} : { sessionName }),
  };
}

function incomplete(profile: string, missing: readonly string[]): Error {
  const names = missing.filter((name) => name !== "").join(", ");
  return configInvalid(`The profile '${profile}' uses SSO, but ${names} is missing.`);
}

/** Start URL and region of the SSO that a profile uses. Throws AwsAuthError when they are missing or contradict each other. */
export function requireSsoSettings(files: SharedFiles, profile: string, section: IniSection): SsoSettings {
  const sessionName = textOption(section, "sso_session");
  const session = sessionName === undefined ? section : files.ssoSessions.get(sessionName);
  if (session === undefined) {
    throw configInvalid(
      `The profile '${profile}' names the sso-session '${sessionName}', but there is no [sso-session ${sessionName}].`,
    );
  }
  for (const [option, value] of session) {
    const own = section.get(option);
    if (own !== undefined && own !== value && typeof own === "string") {
      throw configInvalid(`${option} differs between the profile '${profile}' and the sso-session '${sessionName}'.`);
    }
  }
  const startUrl = textOption(session, "sso_start_url") ?? textOption(section, "sso_start_url");
  const ssoRegion = textOption(session, "sso_region") ?? textOption(section, "sso_region");
  if (startUrl === undefined || ssoRegion === undefined) {
    throw incomplete(profile, [
      startUrl === undefined ? "sso_start_url" : "",
      ssoRegion === undefined ? "sso_region" : "",
    ]);
  }
  const scopes = (textOption(session, "sso_registration_scopes") ?? "sso:account:access").split(",");
  return {
    startUrl,
    ssoRegion,
    scopes: scopes.map((scope) => scope.trim()).filter((scope) => scope !== ""),
    ...(sessionName === undefined ? {} : { sessionName }),
  };
}
