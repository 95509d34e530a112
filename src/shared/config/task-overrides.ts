/** How `--config` values reach the `config:` block of a task. */

import { isMap } from "./config.ts";
import { taskOverridablePaths } from "./task-config-schema.ts";

type Plain = Readonly<Record<string, unknown>>;

/**
 * The task's block with the command line's values over it. Only keys that a task may override are taken; an explicit null
 * removes the task's value.
 */
export function foldTaskOverrides(block: Plain, commandLine: Plain): Plain {
  const result: Record<string, unknown> = { ...block };
  for (const path of taskOverridablePaths()) {
    const [section = "", key] = path.split(".");
    if (key === undefined) setOrDelete(result, section, commandLine[section], section in commandLine);
    else foldKey(result, commandLine, { section, key });
  }
  return result;
}

function foldKey(result: Record<string, unknown>, commandLine: Plain, at: { section: string; key: string }): void {
  const given = commandLine[at.section];
  if (!isMap(given) || !(at.key in given)) return;
  const written = result[at.section];
  const section: Record<string, unknown> = isMap(written) ? { ...written } : {};
  setOrDelete(section, at.key, given[at.key], true);
  setOrDelete(result, at.section, Object.keys(section).length === 0 ? null : section, true);
}

function setOrDelete(target: Record<string, unknown>, key: string, value: unknown, present: boolean): void {
  if (!present) return;
  if (value === null) delete target[key];
  else target[key] = overlay(target[key], value);
}

function overlay(base: unknown, value: unknown): unknown {
  if (!isMap(base) || !isMap(value)) return value;
  const result: Record<string, unknown> = { ...base };
  for (const [key, item] of Object.entries(value)) result[key] = overlay(result[key], item);
  return result;
}
