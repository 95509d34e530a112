/** `--config FILE` and `--config key.path=value`. */

import { InvalidConfigError, UsageError } from "../errors.ts";
import { nodeOf } from "../yaml-node.ts";
import { reprString } from "../yaml-repr.ts";
import { parseYaml } from "../yaml.ts";
import { checkConfig, EMPTY_CONFIG, isMap, parseConfig, setConfigValue, type Config } from "./config.ts";

export interface CliConfigOptions {
  /** The text of a file that exists, undefined for anything else. `~` is the caller's business. */
  readonly readFile?: ((path: string) => string | undefined) | undefined;
}

/**
 * One config of all `--config` values, later ones winning.
 * @throws UsageError in the words of the command line
 */
export function parseConfigOverrides(values: readonly string[], options: CliConfigOptions = {}): Config {
  if (values.length === 0) return EMPTY_CONFIG;
  try {
    return parseValues(values, options);
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    const given = values.map((value) => reprString(value)).join(", ");
    throw new UsageError(
      `Invalid value for '--config': Invalid config override: (${given}${values.length === 1 ? "," : ""}). ` +
        "Check if config file exists or if the dotlist is formatted as: key1=value1 (one --config for each key).\n" +
        `Details: ${error.message}`,
      { cause: error },
    );
  }
}

function parseValues(values: readonly string[], options: CliConfigOptions): Config {
  for (const value of values) {
    const text = options.readFile?.(value);
    if (text === undefined) continue;
    if (values.length > 1) throw new InvalidConfigError("Cannot use multiple --config flags with a config file.");
    return parseConfig(text, { file: value });
  }
  let config: Config = EMPTY_CONFIG;
  for (const value of values) config = applyPair(config, value);
  return checkConfig(nodeOf(config), { file: "CLI" });
}

function applyPair(config: Config, pair: string): Config {
  const at = indexOutsideQuotes(pair, "=");
  const value = at < 0 ? "" : pair.slice(at + 1);
  const key = at < 0 ? "" : pair.slice(0, at);
  if (key === "" || value === "")
    throw new InvalidConfigError(`Invalid config override: ${pair}. Please use the format: key=value`);
  const path = splitKey(key);
  const parsed = parseYaml(value, { file: "--config" })?.value ?? null;
  return setConfigValue(withMaps(config, path), path, parsed);
}

/** A scalar that is in the way of a longer key gives way. */
function withMaps(config: Config, path: readonly string[]): Config {
  let result = config;
  let value: unknown = config;
  for (const [index, key] of path.slice(0, -1).entries()) {
    value = isMap(value) ? value[key] : undefined;
    if (value !== undefined && !isMap(value)) result = setConfigValue(result, path.slice(0, index + 1), {});
  }
  return result;
}

/** An unclosed quote is an ordinary character. */
function indexOutsideQuotes(text: string, wanted: string): number {
  let quote: string | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charAt(index);
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
    } else if ((char === '"' || char === "'") && text.includes(char, index + 1)) quote = char;
    else if (char === wanted) return index;
  }
  return -1;
}

/** Splits at dots; a segment in quotes may hold dots: `aws.labels."team.name"`. */
export function splitKey(key: string): readonly string[] {
  const segments: string[] = [];
  let at = 0;
  for (;;) {
    const quoted = /^(?:"([^"]*)"|'([^']*)')(?=\.|$)/.exec(key.slice(at));
    const plain = key.indexOf(".", at);
    const end = quoted === null ? (plain < 0 ? key.length : plain) : at + quoted[0].length;
    segments.push(quoted === null ? key.slice(at, end) : (quoted[1] ?? quoted[2] ?? ""));
    if (end >= key.length) return segments;
    at = end + 1;
  }
}
