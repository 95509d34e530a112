/** Text → `Dag`. The order of the checks is that of 0.14.1, so that a file with several mistakes shows the same first one. */

import { InvalidValueError } from "../../shared/errors.ts";
import { child, isNull, isString, nodeOf, type YamlMapping, type YamlNode } from "../../shared/yaml-node.ts";
import { parseYamlDocuments } from "../../shared/yaml.ts";
import { pyRepr, pyStr } from "../../shared/yaml-repr.ts";
import { freezePresent } from "./freeze.ts";
import { isJobGroup, parseJobGroup } from "./job-group.ts";
import { parseTask, type ParseTaskOptions } from "./parse-task.ts";
import type { Dag } from "./task.ts";

export type { ParseTaskOptions } from "./parse-task.ts";

/** The name that a command without a task file gets. */
export const COMMAND_NAME = "sky-cmd";

/**
 * Reads a task file: one task, a pipeline or a job group.
 * @throws YamlSyntaxError, InvalidConfigError (schema, every problem listed), InvalidValueError, StorageSpecError
 */
export function parseTaskYaml(text: string, options: ParseTaskOptions = {}): Dag {
  const documents = parseYamlDocuments(text, { file: options.file, maxLength: options.maxLength })
    .map((document) => document.root)
    .filter((root) => !isNull(root))
    .map((root) => requireMapping(root));
  const [first] = documents;
  if (first === undefined)
    throw new InvalidValueError(
      `${options.file === undefined ? "The task YAML" : `'${options.file}'`} is empty or contains no task definition. ` +
        "Add at least a `run:` (or `setup:`) field.",
    );
  return isJobGroup(documents) ? parseJobGroup(documents, options) : parseChain(documents, first, options);
}

/** Checks a task that came as plain data (an SDK, JSON). */
export function parseTaskValue(value: unknown, options: ParseTaskOptions = {}): Dag {
  const task = parseTask(requireMapping(nodeOf(value)), options);
  return freezePresent<Dag>({ name: task.name, execution: "serial", tasks: [task] });
}

/** `sky launch 'echo hi'`: a task of that command, or an empty one without a command. */
export function makeCommandDag(command: string | undefined, options: ParseTaskOptions = {}): Dag {
  return parseTaskValue({ name: COMMAND_NAME, ...(command !== undefined && { run: command }) }, options);
}

function requireMapping(root: YamlNode): YamlMapping {
  if (root.kind === "mapping") return root;
  const found = root.kind === "sequence" ? "a list" : isString(root) ? "a string" : `a ${root.type}`;
  throw new InvalidValueError(`Task YAML must be a mapping; got ${found}`);
}

interface Header {
  readonly name: string | undefined;
}

function parseChain(documents: readonly YamlMapping[], first: YamlMapping, options: ParseTaskOptions): Dag {
  const header = headerOf(first, documents.length);
  const blocks = header === undefined ? documents : documents.slice(1);
  const tasks =
    blocks.length === 0
      ? [parseTask(nodeOf({ name: header?.name }) as YamlMapping, options)]
      : blocks.map((block) => parseTask(block, options));
  const [only] = tasks;
  const name = header === undefined ? (tasks.length === 1 ? only?.name : undefined) : header.name;
  return freezePresent<Dag>({ name, execution: "serial", tasks });
}

/** A first document of exactly `name`, or `name` and `execution`, names the DAG. Alone, `name` is a task. */
function headerOf(node: YamlMapping, documents: number): Header | undefined {
  const keys = node.entries.map(({ key }) => (isString(key) ? key.value : ""));
  const isHeader = keys.includes("name") && keys.every((key) => key === "name" || key === "execution");
  if (!isHeader || (documents === 1 && keys.length === 1)) return undefined;
  const execution = child(node, "execution");
  if (execution !== undefined && !isNull(execution) && !(isString(execution) && execution.value === "serial"))
    throw new InvalidValueError(
      `Invalid execution mode for pipeline: ${pyRepr(execution)}. ` +
        "Pipelines must use execution: serial (or omit it). Use execution: parallel for job groups.",
    );
  const name = child(node, "name");
  return { name: name === undefined || isNull(name) ? undefined : pyStr(name) };
}
