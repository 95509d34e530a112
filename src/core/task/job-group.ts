/** Several tasks that run side by side: the first document is the header, `execution: parallel`. */

import { InvalidValueError } from "../../shared/errors.ts";
import {
  child,
  isNull,
  isString,
  keyText,
  nodeOf,
  plainOf,
  type YamlMapping,
  type YamlNode,
} from "../../shared/yaml-node.ts";
import { pyRepr, pyStr, reprString } from "../../shared/yaml-repr.ts";
import { freezePresent } from "./freeze.ts";
import { parseTask, type ParseTaskOptions } from "./parse-task.ts";
import type { Dag } from "./task.ts";

const HEADER_KEYS = ["name", "execution", "primary_tasks", "termination_delay", "inter_connection"];
const JOB_NAME = /^[A-Za-z0-9_-]+$/;
const DURATION = /^[0-9]+[smhdw]?$/;

export function isJobGroup(documents: readonly YamlMapping[]): boolean {
  const [first] = documents;
  const execution = child(first, "execution");
  return documents.length > 1 && isString(execution) && execution.value === "parallel";
}

/** @throws InvalidValueError, and what a task throws */
export function parseJobGroup(documents: readonly YamlMapping[], options: ParseTaskOptions): Dag {
  const [header, ...jobs] = documents;
  const name = child(header, "name");
  if (header === undefined || name === undefined || isNull(name))
    throw new InvalidValueError("Job Group header missing required fields: {'name'}");
  warnUnknown(header, options);
  const names = checkJobNames(jobs);
  const primary = primaryTasks(child(header, "primary_tasks"), names);
  const delay = terminationDelay(child(header, "termination_delay"), names);
  const interConnection = child(header, "inter_connection");
  if (interConnection !== undefined && typeof plainOf(interConnection) !== "boolean")
    throw new InvalidValueError(
      `inter_connection must be a boolean, got ${pyType(interConnection)}: ${pyRepr(interConnection)}`,
    );
  const dag = freezePresent<Dag>({
    name: pyStr(name),
    execution: "parallel",
    tasks: jobs.map((job) => parseTask(job, options)),
    primaryTasks: primary,
    terminationDelay: delay,
    interConnection: interConnection === undefined ? undefined : plainOf(interConnection) === true,
  });
  options.warn?.(`Loaded Job Group "${dag.name}" with ${names.length} jobs: ${pyRepr(nodeOf(names))}`);
  return dag;
}

function warnUnknown(header: YamlMapping, options: ParseTaskOptions): void {
  const unknown = header.entries.map(({ key }) => keyText(key)).filter((key) => !HEADER_KEYS.includes(key));
  if (unknown.length === 0) return;
  const shown = unknown.map((key) => reprString(key)).join(", ");
  options.warn?.(`Unknown fields in Job Group header: {${shown}}. These will be ignored.`);
}

function checkJobNames(jobs: readonly YamlMapping[]): readonly string[] {
  const names: string[] = [];
  for (const [index, job] of jobs.entries()) {
    const node = child(job, "name");
    if (node === undefined || isNull(node))
      throw new InvalidValueError(`Job ${index + 1} in Job Group must have a "name" field.`);
    const name = pyStr(node);
    if (names.includes(name)) throw new InvalidValueError(`Duplicate job name in Job Group: ${name}`);
    if (!JOB_NAME.test(name))
      throw new InvalidValueError(
        `Invalid job name: ${reprString(name)}. Name must contain only alphanumeric characters, hyphens, and underscores.`,
      );
    names.push(name);
  }
  return names;
}

function primaryTasks(node: YamlNode | undefined, names: readonly string[]): readonly string[] | undefined {
  if (node?.kind !== "sequence") return undefined;
  const primary = node.items.map((item) => pyStr(item));
  for (const name of primary)
    if (!names.includes(name))
      throw new InvalidValueError(
        `primary_tasks references unknown job: ${name}. Available jobs: ${pyRepr(nodeOf(names))}`,
      );
  return primary;
}

function terminationDelay(node: YamlNode | undefined, names: readonly string[]): Dag["terminationDelay"] {
  if (node === undefined || isNull(node)) return undefined;
  if (node.kind !== "mapping") return checkDuration(node);
  const pairs = node.entries.map(({ key, value }) => [keyText(key), checkDuration(value)] as const);
  for (const [name] of pairs)
    if (name !== "default" && !names.includes(name))
      throw new InvalidValueError(
        `termination_delay references unknown job: ${name}. Available jobs: ${pyRepr(nodeOf(names))}`,
      );
  return Object.fromEntries(pairs);
}

function checkDuration(node: YamlNode): string | number {
  const value = plainOf(node);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  if (typeof value === "string" && DURATION.test(value)) return value;
  throw new InvalidValueError(
    `Invalid time duration for termination_delay: ${pyRepr(node)}. Expected format: NUMBER[s|m|h|d|w] (e.g., "30s", "5m", "1h")`,
  );
}

const PYTHON_TYPES: Readonly<Record<string, string>> = { null: "NoneType", timestamp: "datetime" };

function pyType(node: YamlNode): string {
  if (node.kind !== "scalar") return node.kind === "mapping" ? "dict" : "list";
  return PYTHON_TYPES[node.type] ?? node.type;
}
