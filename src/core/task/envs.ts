/** `envs` and `secrets` of a task. */

import { valueError } from "../../shared/config/value-error.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { Secret } from "../../shared/secret.ts";
import {
  child,
  isNull,
  isString,
  keyText,
  plainOf,
  stringNode,
  withEntry,
  type YamlEntry,
  type YamlMapping,
  type YamlNode,
} from "../../shared/yaml-node.ts";
import { pyRepr, pyStr, reprString } from "../../shared/yaml-repr.ts";
import { ENV_NAME } from "./task-schema.ts";

/** Pairs of the command line, low to high precedence; null is "a name without a value". */
export type Overrides = Iterable<readonly [string, string | null]>;

const REFERENCE = "secrets:";

/** Values become text as Python's `str()` has it; names too. */
export function stringifyEnvs(task: YamlMapping): YamlMapping {
  let result = task;
  for (const key of ["envs", "secrets"]) {
    const block = child(task, key);
    if (block?.kind === "mapping")
      result = withEntry(result, key, { ...block, entries: block.entries.map((entry) => textEntry(entry)) });
    if (block?.kind === "sequence" && key === "secrets")
      result = withEntry(result, key, {
        ...block,
        items: block.items.map((item) => stringNode(pyStr(item), item.mark)),
      });
  }
  return result;
}

function textEntry({ key, value }: YamlEntry): YamlEntry {
  return { key: stringNode(pyStr(key), key.mark), value: isNull(value) ? value : stringNode(pyStr(value), value.mark) };
}

/** Puts the command line's values over those of the file. @throws InvalidValueError for a name that no shell takes */
export function overrideEntries(task: YamlMapping, key: "envs" | "secrets", overrides: Overrides): YamlMapping {
  const written = child(task, key);
  let block: YamlMapping = written?.kind === "mapping" ? written : { kind: "mapping", entries: referencesOf(written) };
  let changed = false;
  for (const [name, value] of overrides) {
    if (!new RegExp(ENV_NAME).test(name))
      throw new InvalidValueError(`Invalid ${key === "envs" ? "env" : "secret"} key: ${name}`);
    block = withEntry(block, name, value === null ? { kind: "scalar", type: "null", value: null } : stringNode(value));
    changed = true;
  }
  return changed ? withEntry(task, key, block) : task;
}

function referencesOf(list: YamlNode | undefined): readonly YamlEntry[] {
  if (list?.kind !== "sequence") return [];
  return list.items.map((key) => ({ key, value: { kind: "scalar", type: "null", value: null } }));
}

/** @throws InvalidValueError for a name without a value */
export function parseEnvs(task: YamlMapping, file?: string): Readonly<Record<string, string>> {
  const block = child(task, "envs");
  if (block?.kind !== "mapping") return {};
  const envs: [string, string][] = [];
  for (const { key, value } of block.entries) {
    const name = keyText(key);
    if (isNull(value))
      throw valueError(
        `Environment variable '${name}' is None. Please set a value for it in task YAML or with --env flag. ` +
          `To set it to be empty, use an empty string (${name}: "" in task YAML or --env ${name}="" in CLI).`,
        { file, node: key, path: ["envs", name] },
      );
    envs.push([name, pyStr(value)]);
  }
  return Object.fromEntries(envs);
}

export interface ParsedSecrets {
  readonly inline: Readonly<Record<string, Secret>>;
  /** Without their prefix. */
  readonly managedNames: readonly string[];
  /** Entries of `managed_secrets` that say more than a name. */
  readonly managed: readonly unknown[];
}

/** @throws InvalidValueError */
export function parseSecrets(task: YamlMapping, file?: string): ParsedSecrets {
  const inline: [string, Secret][] = [];
  const names = new Set<string>();
  const block = child(task, "secrets");
  if (block?.kind === "sequence") for (const item of block.items) names.add(referenceName(item, file));
  if (block?.kind === "mapping")
    for (const { key, value } of block.entries) {
      const name = keyText(key);
      if (isNull(value)) names.add(withoutPrefix(name));
      else inline.push([checkInlineName(name, { file, node: key }), new Secret(pyStr(value))]);
    }
  const managed: unknown[] = [];
  const list = child(task, "managed_secrets");
  for (const item of list?.kind === "sequence" ? list.items : []) {
    if (isString(item)) names.add(withoutPrefix(item.value));
    else managed.push(plainOf(item));
  }
  return { inline: Object.fromEntries(inline), managedNames: [...names], managed };
}

function withoutPrefix(name: string): string {
  return name.startsWith(REFERENCE) ? name.slice(REFERENCE.length) : name;
}

function referenceName(item: YamlNode, file: string | undefined): string {
  const text = pyStr(item);
  if (text.startsWith(REFERENCE)) return text.slice(REFERENCE.length);
  throw valueError(
    `Invalid secret in array form: ${isString(item) ? reprString(text) : pyRepr(item)}. Array items must use the secrets: prefix ` +
      '(e.g., secrets:HF_TOKEN). For inline secrets with values, use dict form: secrets: {MY_SECRET: "value"}',
    { file, node: item, path: ["secrets"] },
  );
}

function checkInlineName(name: string, origin: { readonly file: string | undefined; readonly node: YamlNode }): string {
  if (!name.startsWith(REFERENCE)) return name;
  throw valueError(
    `Invalid secret '${name}': secret references (secrets: prefix) must have a null value in dict form. ` +
      "To provide an inline secret value, remove the 'secrets:' prefix.",
    { ...origin, path: ["secrets", name] },
  );
}
