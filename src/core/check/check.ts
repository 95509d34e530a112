import { InvalidValueError } from "../../shared/errors.ts";
import type { CheckBody, EnabledCloudsBody } from "../clusters/bodies.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { Capability, CheckResult } from "../ports/cloud.ts";
import { capabilitiesText, checkClouds, displayNameOf, KNOWN_CLOUDS, type CheckedCloud } from "./clouds.ts";

const RESET = "\u001b[0m";
const DIM = "\u001b[2m";
const BOLD = "\u001b[1m";
const GREEN = "\u001b[32m";

/** Workspace → cloud → capabilities. */
export type CheckReturn = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export const checkOperation: Operation<CheckBody, CheckReturn> = {
  name: "check.check",
  wireName: "check",
  schedule: "short",
  isResumable: false,
  run: runCheck,
};

async function runCheck(body: CheckBody, context: OperationContext): Promise<CheckReturn> {
  const wanted = body.clouds?.map((name) => normalizeCloud(name, context));
  const workspace = body.workspace ?? context.caller.workspace;
  const { log } = context;
  log.line("Checking credentials to enable clouds for SkyPilot.");
  log.spin("[bold cyan]Checking infra choices...[/]");
  const checked = await checkClouds(context, { workspace, ...(wanted === undefined ? {} : { names: wanted }) });
  log.spinEnd();
  const unavailable = wanted?.filter((name) => !context.clouds.names().includes(name)) ?? [];
  const blocks = [
    ...checked.map((one) => ({ name: one.cloud.displayName, lines: renderCloud(one, body.verbose ?? false) })),
    ...unavailable.map((name) => ({ name: displayNameOf(name), lines: renderUnavailable(name) })),
  ];
  blocks.sort((a, b) => compareNames(a.name, b.name));
  for (const line of blocks.flatMap((block) => block.lines)) log.line(line);
  if (wanted === undefined) {
    const others = Object.keys(KNOWN_CLOUDS).filter((name) => !context.clouds.names().includes(name)).length;
    log.line(`${DIM}  ${others} others are not available in this version.${RESET}`);
  }
  const enabled = checked.filter(({ result }) => result.enabled.length > 0);
  for (const line of renderSummary(enabled)) log.line(line);
  return {
    [workspace]: Object.fromEntries(
      enabled.map(({ cloud, result }) => [cloud.displayName, [...result.enabled].sort()]),
    ),
  };
}

/** `k8s` → `kubernetes`; throws InvalidValueError for a name that no cloud has. */
function normalizeCloud(name: string, context: OperationContext): string {
  const aliases: Readonly<Record<string, string>> = { k8s: "kubernetes", digitalocean: "do" };
  const key = aliases[name.toLowerCase()] ?? name.toLowerCase();
  const valid = [...new Set([...context.clouds.names(), ...Object.keys(KNOWN_CLOUDS)])].sort();
  if (valid.includes(key)) return key;
  throw new InvalidValueError(
    `Cloud '${name}' is not a valid cloud among [${valid.map((one) => `'${one}'`).join(", ")}].`,
  );
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
    ...account,
    ...details,
    ...renderTexts("Hint", result.hints ?? []),
    ...renderTexts("Reason", result.reasons),
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

function renderUnavailable(name: string): readonly string[] {
  return [
    `${DIM}  ${displayNameOf(name)}: disabled ${RESET}${RESET}`,
    `    Reason [compute, storage]: ${displayNameOf(name)} is not available in this version.`,
  ];
}

function renderSummary(enabled: readonly CheckedCloud[]): readonly string[] {
  return [
    "",
    `${GREEN}🎉 Enabled infra 🎉${RESET}`,
    ...(enabled.length === 0
      ? ["  No infra to check/enabled."]
      : enabled.map(
          ({ cloud, result }) => `  ${GREEN}${cloud.displayName} ${capabilitiesText(result.enabled)}${RESET}`,
        )),
    DIM,
    `To enable a cloud, follow the hints above and rerun: ${RESET}${BOLD}sky check${RESET}`,
    `${DIM}If any problems remain, refer to detailed docs at: https://docs.skypilot.co/en/latest/getting-started/installation.html${RESET}`,
  ];
}

export const enabledCloudsOperation: Operation<EnabledCloudsBody, readonly string[]> = {
  name: "check.enabled_clouds",
  wireName: "enabled_clouds",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    const workspace = body.workspace === undefined || body.workspace === null ? {} : { workspace: body.workspace };
    const enabled = (await checkClouds(context, workspace)).filter(({ result }) => result.enabled.length > 0);
    // In the long form each entry is what `--infra` takes.
    return enabled.map(({ cloud }) => (body.expand === true ? cloud.wireInfra("", null) : cloud.displayName));
  },
};
