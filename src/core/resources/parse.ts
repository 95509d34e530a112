/** The `resources` block → candidates. Schema first, then meaning, in the words of 0.14.1. */

import { checkSchema } from "../../shared/config/schema-report.ts";
import { RESOURCES_SCHEMA } from "../../shared/config/resources-schema.ts";
import { located, valueError } from "../../shared/config/value-error.ts";
import { InvalidConfigError, InvalidValueError } from "../../shared/errors.ts";
import {
  child,
  EMPTY_MAPPING,
  isNull,
  isString,
  plainOf,
  stringNode,
  withEntry,
  withoutKeys,
  withoutNulls,
  type YamlMapping,
  type YamlNode,
} from "../../shared/yaml-node.ts";
import { parseAccelerators, type AcceleratorChoice } from "./accelerators.ts";
import { checkAgainstCatalog } from "./catalog-checks.ts";
import { buildCandidate, type CandidateContext } from "./candidate.ts";
import { formatResources } from "./format.ts";
import { suggestInfra } from "./infra.ts";
import type { AcceleratorRequest, ResourceChoice, Resources } from "./resources.ts";

export interface ResourcesContext extends CandidateContext {
  /** Messages that 0.14.1 prints while it goes on. */
  readonly warn?: ((message: string) => void) | undefined;
}

export interface ParsedResources {
  readonly choice: ResourceChoice;
  /** The deprecated `autostop.hook`, to be routed to the lifecycle hooks of the task. */
  readonly autostopHook?: { readonly run: string; readonly timeout?: number; readonly down: boolean };
}

const PREFIX = "Invalid resources YAML: ";

/** @throws InvalidConfigError for the schema, InvalidValueError for the meaning */
export function parseResources(node: YamlNode | undefined, context: ResourcesContext = {}): ParsedResources {
  const written = node?.kind === "mapping" ? withoutNulls(node) : EMPTY_MAPPING;
  if (child(written, "hooks") !== undefined)
    throw valueError(
      "Lifecycle hooks live under top-level `config.hooks:`, not `resources.hooks:`. Move the list to `config.hooks` at the top level of the task YAML.",
      { ...context, node: child(written, "hooks"), path: ["resources", "hooks"] },
    );
  const block = resolveAliases(written);
  checkBlock(block, context);
  const { choice, hook } = expand(block, context);
  return hook === undefined ? { choice } : { choice, autostopHook: hook };
}

/** The original's message shows a pattern; the hint says what was meant. */
function checkBlock(block: YamlMapping, context: ResourcesContext): void {
  try {
    checkSchema(block, RESOURCES_SCHEMA, { prefix: PREFIX, file: context.file, at: ["resources"] });
  } catch (error) {
    const infra = child(block, "infra");
    const hint = infra !== undefined && isString(infra) ? suggestInfra(infra.value) : undefined;
    if (!(error instanceof InvalidConfigError) || hint === undefined) throw error;
    throw new InvalidConfigError(error.message, { cause: error, hint });
  }
}

/** `gpus` is another name of `accelerators`, also in the candidates. */
function resolveAliases(block: YamlMapping): YamlMapping {
  let resolved = resolveAlias(block);
  for (const key of ["any_of", "ordered"]) {
    const list = child(resolved, key);
    if (list?.kind !== "sequence") continue;
    const items = list.items.map((item) => (item.kind === "mapping" ? resolveAlias(item) : item));
    resolved = withEntry(resolved, key, { ...list, items });
  }
  return resolved;
}

function resolveAlias(block: YamlMapping): YamlMapping {
  if (child(block, "gpus") === undefined) return block;
  if (child(block, "accelerators") !== undefined)
    throw new InvalidConfigError("Cannot specify both gpus and accelerators in config.");
  const entries = block.entries.map((entry) =>
    isString(entry.key) && entry.key.value === "gpus"
      ? { key: stringNode("accelerators", entry.key.mark), value: entry.value }
      : entry,
  );
  return { ...block, entries };
}

interface Expansion {
  readonly choice: ResourceChoice;
  readonly hook: ParsedResources["autostopHook"];
}

function expand(block: YamlMapping, context: ResourcesContext): Expansion {
  const anyOf = itemsOf(block, "any_of");
  const ordered = itemsOf(block, "ordered");
  const base = withoutKeys(block, ["any_of", "ordered"]);
  const preference = checkCombination(anyOf.length, ordered.length, acceleratorsOf(base, context));
  const items = [...anyOf, ...ordered];
  const blocks = items.length === 0 ? [base] : items.map((item) => overlay(base, item));
  const candidates = blocks.flatMap((candidate) => candidatesOf(candidate, context));
  checkPriorities(candidates, preference);
  const kind = candidates.length <= 1 ? "single" : preference;
  return { choice: Object.freeze({ kind, candidates: Object.freeze(candidates) }), hook: hookOf(blocks) };
}

/** Which of the two kinds several candidates have; only some combinations have a meaning. */
function checkCombination(
  anyOf: number,
  ordered: number,
  accelerators: AcceleratorChoice | undefined,
): "any_of" | "ordered" {
  if (anyOf > 0 && ordered > 0) throw new InvalidValueError('Cannot specify both "any_of" and "ordered" in resources.');
  const several = accelerators !== undefined && accelerators.requests.length > 1;
  if (several && ordered > 0)
    throw new InvalidValueError('Cannot specify multiple "accelerators" with "ordered" in resources.');
  if (several && anyOf > 0 && accelerators.kind === "ordered")
    throw new InvalidValueError(
      'Cannot specify multiple "accelerators" with preferred order (i.e., list of accelerators) with "any_of" in resources.',
    );
  return ordered > 0 || (several && accelerators.kind === "ordered") ? "ordered" : "any_of";
}

function itemsOf(block: YamlMapping, key: string): readonly YamlNode[] {
  const list = child(block, key);
  return list?.kind === "sequence" ? list.items : [];
}

function acceleratorsOf(block: YamlMapping, context: ResourcesContext) {
  const node = child(block, "accelerators");
  return node === undefined || isNull(node) ? undefined : parseAccelerators(node, context.facts);
}

/** An item's keys win over the outer ones; labels are merged key by key. */
function overlay(base: YamlMapping, item: YamlNode): YamlMapping {
  if (item.kind !== "mapping") return base;
  let merged = base;
  for (const { key, value } of item.entries) {
    if (!isString(key)) continue;
    const outer = child(base, key.value);
    const isLabels = key.value === "labels" && outer?.kind === "mapping" && value.kind === "mapping";
    merged = withEntry(merged, key.value, isLabels ? mergeLabels(outer, value) : value);
  }
  return merged;
}

function mergeLabels(outer: YamlMapping, inner: YamlMapping): YamlMapping {
  const names = inner.entries.map(({ key }) => (isString(key) ? key.value : ""));
  return { ...inner, entries: [...withoutKeys(outer, names).entries, ...inner.entries] };
}

/** One candidate per accelerator that the block names. */
function candidatesOf(block: YamlMapping, context: ResourcesContext): Resources[] {
  const accelerators = acceleratorsOf(block, context);
  const requests: readonly (AcceleratorRequest | undefined)[] = accelerators?.requests ?? [undefined];
  const candidates = requests.map((request) =>
    buildCandidate(block, {
      ...context,
      ...(request !== undefined && { accelerator: request }),
      byMemory: accelerators?.byMemory ?? false,
    }),
  );
  const { facts, file } = context;
  if (facts !== undefined)
    for (const candidate of candidates)
      located({ file, node: block, path: ["resources"] }, () => checkAgainstCatalog(candidate, facts));
  return candidates;
}

function checkPriorities(candidates: readonly Resources[], kind: "any_of" | "ordered"): void {
  const priorities = new Set(candidates.flatMap(({ priority }) => (priority === undefined ? [] : [priority])));
  if (priorities.size <= 1) return;
  const list = candidates.map((item) => formatResources(item)).join(", ");
  const shown = kind === "ordered" ? `[${list}]` : `{${list}}`;
  throw new InvalidValueError(`Priority is not consistent across resources: ${shown}`);
}

function hookOf(blocks: readonly YamlMapping[]): ParsedResources["autostopHook"] {
  for (const block of blocks) {
    const autostop = child(block, "autostop");
    const run = child(autostop, "hook");
    if (!isString(run)) continue;
    const timeout = child(autostop, "hook_timeout");
    const down = child(autostop, "down");
    return {
      run: run.value,
      down: down !== undefined && plainOf(down) === true,
      ...(timeout !== undefined && { timeout: Number(plainOf(timeout)) }),
    };
  }
  return undefined;
}
