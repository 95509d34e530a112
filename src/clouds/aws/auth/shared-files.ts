import { readFileSync, statSync } from "node:fs";
import { AwsAuthError, configUnreadable } from "../errors.ts";
import { IniError, parseIni, type IniSection, type IniValue } from "../../../shared/ini.ts";
import { splitWords } from "./section-name.ts";
import { configPath, credentialsPath, type AwsEnvironment } from "./environment.ts";

/** What `~/.aws/config` and `~/.aws/credentials` say, merged as botocore merges them (credentials win). */
export interface SharedFiles {
  readonly configPath: string;
  readonly credentialsPath: string;
  readonly hasCredentialsFile: boolean;
  readonly profiles: ReadonlyMap<string, IniSection>;
  readonly configProfiles: ReadonlyMap<string, IniSection>;
  readonly credentialProfiles: ReadonlyMap<string, IniSection>;
  readonly ssoSessions: ReadonlyMap<string, IniSection>;
  readonly services: ReadonlyMap<string, IniSection>;
  /** Sections of the config file that name no profile: a `[team]` that should be `[profile team]`. */
  readonly otherSections: readonly string[];
}

type Sections = ReadonlyMap<string, IniSection>;

interface CachedFile {
  readonly stamp: string;
  readonly sections: Sections;
}

/** Reads both files again only when one has changed, so that an edit or a login counts at the next call. */
export class SharedFileReader {
  readonly #files = new Map<string, CachedFile>();

  /** Throws AwsAuthError with file and line when a file cannot be read. */
  read(environment: AwsEnvironment): SharedFiles {
    const config = configPath(environment);
    const credentials = credentialsPath(environment);
    const configSections = this.#sections(config) ?? new Map();
    const credentialSections = this.#sections(credentials);
    return {
      ...sortSections(configSections, credentialSections ?? new Map()),
      configPath: config,
      credentialsPath: credentials,
      hasCredentialsFile: credentialSections !== undefined,
    };
  }

  #sections(path: string): Sections | undefined {
    const stamp = fileStamp(path);
    if (stamp === undefined) {
      this.#files.delete(path);
      return undefined;
    }
    const cached = this.#files.get(path);
    if (cached?.stamp === stamp) return cached.sections;
    const sections = loadSections(path);
    this.#files.set(path, { stamp, sections });
    return sections;
  }
}

/** Changes whenever the file is written or replaced; undefined when there is no such file. */
export function fileStamp(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat?.isFile() === true ? `${stat.ino}:${stat.size}:${stat.mtimeNs}` : undefined;
}

function loadSections(path: string): Sections {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const reason = error instanceof TypeError ? "it is not UTF-8 text" : errorText(error);
    throw configUnreadable(path, reason, { cause: error });
  }
  try {
    return parseIni(text);
  } catch (error) {
    if (!(error instanceof IniError)) throw error;
    throw configUnreadable(path, `line ${error.line}: ${error.message}`, { cause: error });
  }
}

function errorText(error: unknown): string {
  if (error instanceof AwsAuthError) throw error;
  return error instanceof Error ? error.message : String(error);
}

function sortSections(
  config: Sections,
  credentials: Sections,
): Pick<
  SharedFiles,
  "profiles" | "configProfiles" | "credentialProfiles" | "ssoSessions" | "services" | "otherSections"
> {
  const configProfiles = new Map<string, IniSection>();
  const ssoSessions = new Map<string, IniSection>();
  const services = new Map<string, IniSection>();
  const otherSections: string[] = [];
  for (const [name, section] of config) {
    const target = name.startsWith("profile")
      ? configProfiles
      : name.startsWith("sso-session")
        ? ssoSessions
        : name.startsWith("services")
          ? services
          : undefined;
    const words = target === undefined ? undefined : splitWords(name);
    if (name === "default") configProfiles.set(name, section);
    else if (target !== undefined && words?.length === 2) target.set(words[1] ?? "", section);
    else otherSections.push(name);
  }
  const profiles = new Map(configProfiles);
  for (const [name, section] of credentials) {
    profiles.set(name, new Map<string, IniValue>([...(configProfiles.get(name) ?? []), ...section]));
  }
  return { profiles, configProfiles, credentialProfiles: credentials, ssoSessions, services, otherSections };
}

/** The option's text; undefined when it is absent or a block. */
export function textOption(section: IniSection | undefined, name: string): string | undefined {
  const value = section?.get(name);
  return typeof value === "string" ? value : undefined;
}
