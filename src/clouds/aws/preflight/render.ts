import { describePrincipal } from "../policy/remedy.ts";
import type { NetworkReport } from "./network.ts";
import { missingStatements, type ActionVerdict, type CapabilityVerdict, type PermissionReport } from "./report.ts";

/** Prints a report: what works, what does not, and what to add. */
export function renderReport(report: PermissionReport): string {
  const judged = actionsOf(report);
  return [
    `AWS permissions of ${report.principal} in ${report.region}`,
    "",
    ...renderCapabilities(report.capabilities).map((line) => `  ${line}`),
    "",
    ...renderNetwork(report.network),
    ...renderDenied(judged, report.principal),
    ...renderUnknown(judged),
    ...report.notes.flatMap((note) => ["", `Note: ${note}`]),
  ].join("\n");
}

/** The actions that the reported capabilities are about. */
function actionsOf(report: PermissionReport): readonly ActionVerdict[] {
  const ids = new Set(report.capabilities.flatMap((each) => each.actions));
  const noted = new Set(report.capabilities.flatMap((each) => each.notes));
  return report.actions.filter(
    (each) => ids.has(each.id) || [...noted].some((note) => note.startsWith(`without ${each.action},`)),
  );
}

/** The table of capabilities: what each is called, its status, and the actions that are not allowed. */
export function renderCapabilities(capabilities: readonly CapabilityVerdict[]): readonly string[] {
  const width = Math.max(...capabilities.map((each) => each.title.length));
  return capabilities.flatMap(({ title, status, actions, notes }) => {
    const names = [...new Set(actions.map((id) => id.split("/", 1)[0] ?? id))].join(", ");
    const line = `${title.padEnd(width)}  ${status.padEnd("allowed".length)}  ${names}`.trimEnd();
    return [line, ...notes.map((note) => `${"".padEnd(width)}  (${note})`)];
  });
}

function renderNetwork(network: NetworkReport): readonly string[] {
  const usable = network.subnets.filter((each) => each.isUsable);
  const where = network.vpcId === undefined ? "no VPC" : `VPC ${network.vpcId}`;
  const zones = [...new Set(usable.map((each) => each.zone))].toSorted().join(", ");
  const lines = [
    `Network in ${network.region}: ${where}, ${usable.length} of ${network.subnets.length} subnets can take nodes${zones === "" ? "" : ` (${zones})`}`,
  ];
  for (const problem of network.problems) lines.push(`  ✗ ${problem}`);
  for (const subnet of network.subnets) {
    if (subnet.problems.length === 0) continue;
    const name = subnet.name === "" ? subnet.id : `${subnet.id} (${subnet.name})`;
    lines.push(`  ${name} in ${subnet.zone}: ${subnet.problems.join("; ")}`);
  }
  return lines;
}

function renderDenied(verdicts: readonly ActionVerdict[], principal: string): readonly string[] {
  const denied = verdicts.filter((each) => each.status === "denied");
  if (denied.length === 0) return [];
  const lines = ["", "Denied:"];
  for (const { action, resource, why } of denied) {
    lines.push(`  ${action}${resource === null ? "" : ` on ${resource}`} (${why})`);
  }
  const statements = missingStatements(denied);
  if (statements.length > 0) {
    lines.push("", `Add to the policy of ${describePrincipal(principal)}:`);
    lines.push(...statements.map((each) => `  ${JSON.stringify(each)}`));
  }
  return lines;
}

function renderUnknown(verdicts: readonly ActionVerdict[]): readonly string[] {
  const unknown = verdicts.filter((each) => each.status === "unknown");
  if (unknown.length === 0) return [];
  const byReason = Map.groupBy(unknown, (each) => each.why);
  const lines = ["", "Unknown:"];
  for (const [why, group] of byReason) {
    lines.push(`  ${[...new Set(group.map((each) => each.action))].join(", ")}: ${why}`);
  }
  return lines;
}
