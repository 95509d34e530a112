/** What is said when nothing satisfies a candidate, and the error when nothing satisfies the task. The words are 0.14.1's. */

import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import { yellow } from "../clusters/messages.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { InvalidValueError, ResourcesUnavailableError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import { formatResources } from "../resources/format.ts";
import type { Resources } from "../resources/resources.ts";
import type { Task } from "../task/task.ts";
import type { CandidateAnswer, TaskAnswers } from "./candidates.ts";
import { nearestMatches } from "./nearest.ts";
import { cloudKeyOf } from "./request.ts";

const REASONS_SHOWN = 6;

const cyan = (text: string): string => `\u001b[36m${text}\u001b[0m`;
const grey = (text: string): string => `\u001b[90m${text}\u001b[0m`;

/** Lines that come before the table: a preference list, and each candidate that nothing satisfies. */
export function infeasibleLines(asked: TaskAnswers): readonly string[] {
  const { task, answers } = asked;
  const lines: string[] = [];
  if (task.resources.kind === "ordered") {
    const list = task.resources.candidates.map((one) => formatResources(one, { withPlace: true }));
    lines.push(
      `${yellow("Using user-specified accelerators list ")}(will be tried in the listed order): ${list.join(", ")}`,
    );
  }
  const off = disabledKeys(asked);
  const isAllOff = answers.every((_, candidate) => isOff(asked, candidate));
  if (off.length > 0 && !isAllOff) lines.push(yellow(notEnabledText(task, off)));
  for (const answer of answers) {
    const resources = task.resources.candidates[answer.candidate];
    const isMissing = answer.offers.length === 0 && answer.asked.length > 0;
    if (!isMissing || resources === undefined || resources.noMissingAcceleratorWarnings === true) continue;
    lines.push(...missingLines(task, resources, answer));
  }
  return lines;
}

function missingLines(task: Task, resources: Resources, answer: CandidateAnswer): readonly string[] {
  const nodes = task.numNodes === 1 ? "" : `${task.numNodes}x `;
  const clouds = answer.asked.length === 1 ? answer.asked[0] : `[${answer.asked.join(", ")}]`;
  const first = `No resource satisfying ${nodes}${formatResources(resources, { withPlace: true })} on ${clouds}.`;
  const { suggestions } = answer;
  if (suggestions.length > 0) return [first, `Did you mean: ${cyan(listText(suggestions))}`];
  return [first, ...advice(resources).map(grey)];
}

/**
 * An instance type that no cloud has is a mistake rather than a lack. Clouds without a catalog make up types of their own, so that
 * nothing can be said where one of them was asked. @throws InvalidValueError
 */
export function refuseUnknownTypes({ task, answers, enabled }: TaskAnswers, { catalogs }: OperationContext): void {
  for (const answer of answers) {
    const name = task.resources.candidates[answer.candidate]?.instanceType;
    if (name === undefined || answer.offers.length > 0) continue;
    const clouds = enabled.filter((cloud) => answer.asked.includes(cloud.displayName));
    const found = clouds.map((cloud) => catalogs.find(cloud.name));
    if (clouds.length === 0 || found.some((catalog) => catalog === undefined || catalog.findType(name) !== undefined)) {
      continue;
    }
    const [only] = answer.asked;
    const where = answer.asked.length === 1 ? `cloud ${only}` : `any cloud among [${answer.asked.join(", ")}]`;
    throw new InvalidValueError(`Invalid instance type '${name}' for ${where}.`);
  }
}

/** Which wishes may be too narrow. */
function advice(resources: Resources): readonly string[] {
  const { cpus, memory, localDisk, maxHourlyCostUsd } = resources;
  const lines: string[] = [];
  const larger = 'or add "+" to the end of the';
  if (cpus !== undefined) {
    lines.push(`- Try specifying a different CPU count, ${larger} CPU count to allow for larger instances.`);
  }
  if (memory !== undefined) {
    lines.push(`- Try specifying a different memory size, ${larger} memory size to allow for larger instances.`);
  }
  if (localDisk !== undefined) {
    lines.push('- Try using "+" suffix for at-least matching (e.g., "nvme:500+"), or reduce the size requirement. ');
  }
  if (maxHourlyCostUsd !== undefined) {
    lines.push(
      `- Max hourly cost limit ($${maxHourlyCostUsd}/hr) may be too restrictive. Try increasing the limit or removing it to see available options.`,
    );
  }
  return lines;
}

function isOff({ task, answers }: TaskAnswers, candidate: number): boolean {
  const resources = task.resources.candidates[candidate];
  return resources !== undefined && cloudKeyOf(resources) !== undefined && answers[candidate]?.asked.length === 0;
}

/** Registry keys of clouds that candidates name and that are not enabled. */
function disabledKeys(asked: TaskAnswers): readonly string[] {
  const keys = asked.task.resources.candidates.filter((_, candidate) => isOff(asked, candidate)).map(cloudKeyOf);
  return [...new Set(keys.filter((key) => key !== undefined))].sort();
}

function notEnabledText(task: Task, keys: readonly string[]): string {
  const subject = task.name === undefined ? "Task" : `Task '${task.name}'`;
  const verb = keys.length === 1 ? "is" : "are";
  return `${subject} requires ${keys.join(", ")} which ${verb} not enabled. To enable access, change the task cloud requirement or run: sky check ${keys.join(" ")}`;
}

/** The error for a task that no place can run. */
export async function explainInfeasible(
  asked: TaskAnswers,
  context: OperationContext,
): Promise<ResourcesUnavailableError> {
  const { task, answers } = asked;
  const off = disabledKeys(asked);
  if (off.length > 0 && answers.every((_, candidate) => isOff(asked, candidate))) {
    return new ResourcesUnavailableError(notEnabledText(task, off), { hint: notEnabledHint(off, asked, context) });
  }
  const requests = task.resources.candidates.map(
    (resources) => `${task.numNodes}x ${formatResources(resources, { withPlace: true })}`,
  );
  const suggestions = [...new Set(answers.flatMap((answer) => answer.suggestions))];
  const lines = [
    `Catalog does not contain any instances satisfying the request: ${requests.join(", ")}.`,
    "To fix: relax or change the resource requirements.",
    ...(suggestions.length > 0 ? [`Try one of these offered accelerators: ${listText(suggestions)}`] : []),
    "",
    "Hint: sky gpus list to list available accelerators.",
    "      sky check to check the enabled clouds.",
  ];
  const hints = [...(await nearestMatches(asked, context)), ...reasonLines(answers)];
  if (hints.length > 0) lines.push("Hint: Check Per Resource Hint", ...hints.map((hint) => `      ${hint}`));
  return new ResourcesUnavailableError(lines.join("\n"));
}

function reasonLines(answers: readonly CandidateAnswer[]): readonly string[] {
  const all = answers.flatMap((answer) =>
    answer.rejected.map(({ displayName, what, reason }) =>
      what === "" ? `${displayName} ${reason}` : `${displayName}: ${reason}`,
    ),
  );
  const reasons = [...new Set(all)];
  if (reasons.length <= REASONS_SHOWN) return reasons;
  return [...reasons.slice(0, REASONS_SHOWN), `… and ${reasons.length - REASONS_SHOWN} more reasons`];
}

/** Tells what this release cannot do yet from what only has to be set up. */
function notEnabledHint(keys: readonly string[], { enabled }: TaskAnswers, context: OperationContext): string {
  const names = enabled.map((cloud) => cloud.name);
  const use = names.length === 0 ? "" : ` Enabled here: ${names.join(", ")} (e.g. --infra ${names[0]}).`;
  const switches = keys.flatMap((key) => context.clouds.optIn?.[key] ?? []);
  if (switches.length > 0) return `It is off until it is asked for: ${switches.join(" && ")}`;
  const unknown = keys.filter((key) => !context.clouds.names().includes(key));
  if (unknown.length === 0) return `To see what is missing: sky check ${keys.join(" ")}.${use}`;
  const shown = unknown.map(displayCloud);
  return `${shown.join(", ")} ${shown.length === 1 ? "is" : "are"} not available in this version yet.${use}`;
}

/** In alphabetical order, as Python prints a list of texts. */
function listText(items: readonly string[]): string {
  return pyRepr(nodeOf(items.toSorted()));
}
