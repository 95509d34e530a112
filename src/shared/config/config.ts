/** Config files: text → checked plain data, and reading single values. */

import { InvalidConfigError } from "../errors.ts";
import { child, isString, plainOf, type YamlNode } from "../yaml-node.ts";
import { parseYaml, YamlSyntaxError } from "../yaml.ts";
import { configSchema, type SchemaSide } from "./config-schema.ts";
import { checkSchema } from "./schema-report.ts";

/** A config as plain data; frozen at every depth. */
export type Config = Readonly<Record<string, unknown>>;

export const EMPTY_CONFIG: Config = Object.freeze({});

export interface ParseConfigOptions {
  /** Shown in errors. */
  readonly file: string;
  /** The client lets unknown keys through in the sections that plugins extend; default client. */
  readonly side?: SchemaSide;
  /** A duplicate key in a config file is told, not refused: its last value counts, as in 0.14.1. */
  readonly warn?: ((message: string) => void) | undefined;
}

const SEE = "https://docs.skypilot.co/en/latest/reference/config.html";

/** An empty text is an empty config. @throws InvalidConfigError with file, line and column of every problem */
export function parseConfig(text: string, options: ParseConfigOptions): Config {
  let root: YamlNode | undefined;
  try {
    const onDuplicateKey = (message: string): void => options.warn?.(`${options.file}: ${message}`);
    root = parseYaml(text, { file: options.file, onDuplicateKey })?.root;
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    throw new InvalidConfigError(prefixOf(options.file) + error.message, { cause: error });
  }
  if (root === undefined) return EMPTY_CONFIG;
  return checkConfig(root, options);
}

/** Checks a config that is already data. @throws InvalidConfigError */
export function checkConfig(root: YamlNode, options: ParseConfigOptions): Config {
  const prefix = prefixOf(options.file);
  if (
    options.side === "server" &&
    root.kind === "mapping" &&
    child(root, "db") !== undefined &&
    root.entries.length > 1
  )
    throw new InvalidConfigError(`${prefix}If db config is specified, no other config is allowed`);
  checkSchema(root, configSchema(options.side ?? "client"), { prefix, file: options.file });
  checkLinks(root, options.file);
  return deepFreeze(plainOf(root)) as Config;
}

function prefixOf(file: string): string {
  return `Invalid config YAML from (${file}). See: ${SEE}. Error: `;
}

/** A broken regular expression would otherwise show only when the dashboard draws its links. */
function checkLinks(root: YamlNode, file: string): void {
  const links = child(child(root, "dashboard"), "external_links");
  if (links?.kind !== "sequence") return;
  for (const [index, link] of links.items.entries()) {
    const regex = child(link, "regex");
    if (!isString(regex)) continue;
    try {
      RegExp(regex.value, "u");
    } catch (error) {
      throw new InvalidConfigError(
        `Invalid config YAML from (${file}). dashboard.external_links[${index}].regex is not a valid regex: ` +
          `'${regex.value}' (${error instanceof Error ? error.message : String(error)}).`,
        { cause: error },
      );
    }
  }
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path of keys; undefined when any part is missing. */
export function getConfigValue(config: Config, path: readonly string[]): unknown {
  let value: unknown = config;
  for (const key of path) {
    if (!isMap(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** A copy with one value set, or removed with undefined; the original stays. */
export function setConfigValue(config: Config, path: readonly string[], value: unknown): Config {
  const [key, ...rest] = path;
  if (key === undefined) return config;
  const inner = config[key];
  const next = rest.length === 0 ? value : setConfigValue(isMap(inner) ? inner : {}, rest, value);
  const copy: Record<string, unknown> = { ...config };
  if (next === undefined) delete copy[key];
  else copy[key] = next;
  return copy;
}
