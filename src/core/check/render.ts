import { displayCloud } from "../../shared/cloud-names.ts";
import type { Capability, CheckResult } from "../ports/cloud.ts";
import { capabilitiesText, ORIGINAL_CLOUDS, type CheckedCloud, type Exclusion } from "./clouds.ts";

const RESET = "\u001b[0m";
const DIM = "\u001b[2m";
const BOLD = "\u001b[1m";
const GREEN = "\u001b[32m";
const BRIGHT_GREEN = "\u001b[92m";
const BRIGHT_RED = "\u001b[91m";

/** What was found out for one workspace. */
export interface WorkspaceCheck {
  readonly workspace: string;
  /** The clouds that the user named, if any. */
  readonly wanted: readonly string[] | undefined;
  readonly excluded: ReadonlyMap<string, Exclusion>;
  readonly checked: readonly CheckedCloud[];
}

/** A block of lines for each cloud. */
export function renderBlocks(
  check: WorkspaceCheck,
  options: { readonly known: readonly string[]; readonly isVerbose: boolean },
): readonly string[] {
  const { wanted, excluded, workspace } = check;
  const blocks = check.checked.map((one) => ({
    name: one.cloud.displayName,
    lines: renderCloud(one, options.isVerbose),
  }));
  for (const name of wanted ?? []) {
    const exclusion = excluded.get(name);
    const display = displayCloud(name);
    if (exclusion !== undefined) blocks.push({ name: display, lines: renderExcluded(name, exclusion, workspace) });
    else if (!options.known.includes(name)) blocks.push({ name: display, lines: renderUnavailable(name) });
  }
  blocks.sort((a, b) => compareNames(a.name, b.name));
  const lines = blocks.flatMap((block) => block.lines);
  if (wanted !== undefined) return lines;
  const others = ORIGINAL_CLOUDS.filter((name) => !options.known.includes(name)).length;
  return [...lines, `${DIM}  ${others} others are not available in this version.${RESET}`];
}

/** Alphabetical whatever the case, names that begin with a small letter last. */
function compareNames(a: string, b: string): number {
  const isLowerA = /^[a-z]/.test(a);
  if (isLowerA !== /^[a-z]/.test(b)) return isLowerA ? 1 : -1;
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1;
}

function renderCloud({ cloud, result }: CheckedCloud, isVerbose: boolean): readonly string[] {
  const account =
    result.account === undefined || result.enabled.length === 0 ? [] : [`    Activated account: ${result.account}`];
  const details = isVerbose ? result.details.map((detail) => `    ${detail}`) : [];
  const head =
    result.enabled.length > 0
      ? `${GREEN}\u001b[22m  ${cloud.displayName}: enabled ${capabilitiesText(result.enabled)}${RESET}`
      : `${DIM}  ${cloud.displayName}: disabled ${RESET}${RESET}`;
  return [
    head,
    ...renderPlaces(result.places),
    ...account,
    ...details,
    ...renderTexts("Hint", result.hints ?? []),
    ...renderTexts("Reason", result.places === undefined ? result.reasons : []),
  ];
}

/** A tree of the places, with what is wrong with them. */
function renderPlaces(places: CheckResult["places"]): readonly string[] {
  if (places === undefined || places.list.length === 0) return [];
  return [
    `    ${places.title}:`,
    ...places.list.flatMap(({ name, isEnabled, problem = "" }, index) => {
      const isLast = index === places.list.length - 1;
      const [first = "", ...rest] = problem.split("\n");
      const state = isEnabled ? `${BRIGHT_GREEN}enabled.${RESET}` : `${BRIGHT_RED}disabled. ${RESET}`;
      const reason = isEnabled ? ` ${first}` : `${DIM}Reason: ${first}${RESET}`;
      const branch = `    ${DIM}${isLast ? "└── " : "├── "}${RESET}`;
      const further = rest.map((line) => `    ${isLast ? "    " : `${DIM}│${RESET}   `}${line}`);
      return [`${branch}${name}: ${state}${first === "" ? "" : reason}`, ...further];
    }),
  ];
}

/** Texts bring the indentation of their further lines along. */
function renderTexts(title: string, entries: CheckResult["reasons"]): readonly string[] {
  return mergeTexts(entries).flatMap(({ capabilities, text }) => {
    const [first = "", ...rest] = text.split("\n");
    return [`    ${title} ${capabilitiesText(capabilities)}: ${first}`, ...rest];
  });
}

/** The same text for several capabilities is shown once. */
function mergeTexts(entries: CheckResult["reasons"]): CheckResult["reasons"] {
  const byText = new Map<string, readonly Capability[]>();
  for (const { capabilities, text } of entries) byText.set(text, [...(byText.get(text) ?? []), ...capabilities]);
  return [...byText].map(([text, capabilities]) => ({ capabilities, text }));
}

/** The config is named, because that is where it is changed. */
function renderExcluded(name: string, exclusion: Exclusion, workspace: string): readonly string[] {
  const reason =
    exclusion === "workspace"
      ? `is disabled for the workspace '${workspace}' in ~/.sky/config.yaml`
      : "is not included in allowed_clouds in ~/.sky/config.yaml";
  return [
    `${DIM}  ${displayCloud(name)}: disabled ${RESET}${RESET}`,
    `    Reason [compute, storage]: ${displayCloud(name)} ${reason}.`,
  ];
}

function renderUnavailable(name: string): readonly string[] {
  return [
    `${DIM}  ${displayCloud(name)}: disabled ${RESET}${RESET}`,
    `    Reason [compute, storage]: ${displayCloud(name)} is not available in this version.`,
  ];
}

/** The list of what is on in the workspace, and what its config leaves out. */
export function renderEnabled(check: WorkspaceCheck, namesWorkspace: boolean): readonly string[] {
  const enabled = check.checked.filter(({ result }) => result.enabled.length > 0);
  const title = namesWorkspace ? `Enabled infra for workspace: '${check.workspace}'` : "Enabled infra";
  return [
    "",
    `${GREEN}🎉 ${title} 🎉${RESET}`,
    ...(enabled.length === 0
      ? ["  No infra to check/enabled."]
      : enabled.flatMap(({ cloud, result }) => [
          `  ${GREEN}${cloud.displayName} ${capabilitiesText(result.enabled)}${RESET}`,
          ...renderUsable(result.places),
        ])),
    ...renderNote(check),
  ];
}

function renderUsable(places: CheckResult["places"]): readonly string[] {
  const names = places?.list.filter(({ isEnabled }) => isEnabled).map(({ name }) => name) ?? [];
  if (names.length === 0) return [];
  return [
    `    ${places?.title}:`,
    ...names.map((name, index) => `    ${DIM}${index === names.length - 1 ? "└── " : "├── "}${RESET}${name}`),
  ];
}

function renderNote({ excluded, workspace }: WorkspaceCheck): readonly string[] {
  if (excluded.size === 0) return [];
  const names = [...excluded.keys()].map(displayCloud).sort(compareNames).join(", ");
  const also = [...excluded.values()].includes("workspace") ? ` or disabled for this workspace '${workspace}'` : "";
  return [
    `\nNote: The following clouds were disabled because they were not included in allowed_clouds in ~/.sky/config.yaml${also}: ${names}`,
  ];
}

/** What to do next, once for all workspaces. */
export function renderFooter(): readonly string[] {
  return [
    DIM,
    `To enable a cloud, follow the hints above and rerun: ${RESET}${BOLD}sky check${RESET}`,
    `${DIM}If any problems remain, refer to detailed docs at: https://docs.skypilot.co/en/latest/getting-started/installation.html${RESET}`,
  ];
}
