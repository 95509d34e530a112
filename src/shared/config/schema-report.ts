/** Schema errors as users see them: 0.14.1's text first, then the place in the file, then every further problem. */

import { InvalidConfigError } from "../errors.ts";
import { locate, placeOf, type YamlNode, type YamlPath } from "../yaml-node.ts";
import { closestWord } from "./closest.ts";
import { additionalKeys, mostSpecific, schemaErrors, type Schema, type SchemaError } from "./json-schema.ts";

export interface SchemaCheck {
  /** Put before the first problem, such as `Invalid task YAML: `. */
  readonly prefix: string;
  readonly file?: string | undefined;
  /** Path of the checked node from the top of the file, for the place line. */
  readonly at?: YamlPath | undefined;
}

interface Problem {
  readonly text: string;
  readonly path: YamlPath;
  readonly node: YamlNode;
  /** The key to point at, when the key itself is wrong. */
  readonly key?: string | undefined;
}

/** Checks a node. @throws InvalidConfigError that lists every problem. */
export function checkSchema(node: YamlNode, schema: Schema, check: SchemaCheck): void {
  const errors = schemaErrors(node, schema);
  if (errors.length === 0) return;
  const shown = new Set<string>();
  const lines: string[] = [];
  for (const error of errors) {
    const problem = describe(error, node);
    if (shown.has(problem.text)) continue;
    shown.add(problem.text);
    lines.push(lines.length === 0 ? check.prefix + problem.text : `Also: ${problem.text}`);
    const place = placeLine(problem, node, check);
    if (place !== undefined) lines.push(place);
  }
  throw new InvalidConfigError(lines.join("\n"));
}

function describe(reported: SchemaError, root: YamlNode): Problem {
  // Inside a branch of anyOf an unknown key is told in the words of the schema library.
  const error = mostSpecific(reported);
  const { path, node } = error;
  if (reported.keyword === "additionalProperties" && node.kind === "mapping") {
    const extra = additionalKeys(node, error.schema);
    if (error.schema.patternProperties !== undefined && error.schema.properties === undefined) {
      const text = `The \`${String(path.at(-1) ?? "")}\` field contains invalid keys:\n${error.message}`;
      return { text, path, node: root, key: extra[0] };
    }
    return { text: extra.map((name) => unknownKey(name, error.schema)).join(" "), path, node: root, key: extra[0] };
  }
  // The original replaces JSON's word by Python's anywhere in the text.
  const text = error.message.replaceAll("'object'", "'dict'");
  return { text: `${text}. Check problematic field(s): ${jsonPath(path)}`, path, node: root };
}

function unknownKey(name: string, schema: Schema): string {
  const close = closestWord(name, Object.keys(schema.properties ?? {}));
  return close === undefined ? `Found unsupported field '${name}'.` : `Instead of '${name}', did you mean '${close}'?`;
}

/** `$.a.b[0]['_c']` */
function jsonPath(path: YamlPath): string {
  let out = "$";
  for (const step of path) {
    if (typeof step === "number") out += `[${step}]`;
    else out += /^[a-zA-Z][a-zA-Z0-9_]*$/.test(step) ? `.${step}` : `['${step.replaceAll("'", "\\'")}']`;
  }
  return out;
}

function placeLine(problem: Problem, root: YamlNode, check: SchemaCheck): string | undefined {
  const path = problem.key === undefined ? problem.path : [...problem.path, problem.key];
  const found = locate(root, path);
  const mark = (problem.key === undefined ? undefined : found?.key?.mark) ?? found?.value.mark;
  const name = dottedPath([...(check.at ?? []), ...path]);
  if (mark === undefined || check.file === undefined) return undefined;
  return `  at ${placeOf(mark, check.file)}${name === "" ? "" : ` (${name})`}`;
}

/** `resources.accelerators`, `tasks[0].run` */
export function dottedPath(path: YamlPath): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)).join("");
}
