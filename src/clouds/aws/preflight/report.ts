import { ACTIONS, CAPABILITIES, STATEMENTS, type ActionRow, type AwsCapability } from "../actions.ts";
import type { Denial } from "../policy/denial.ts";
import type { PolicyStatement } from "../policy/document.ts";
import { statementFor } from "../policy/remedy.ts";
import type { NetworkReport } from "./network.ts";
import type { Outcome } from "./outcome.ts";

export type Status = "allowed" | "denied" | "unknown";

/** One action of the table, as it turned out. Plain JSON, like the whole report. */
export interface ActionVerdict {
  readonly id: string;
  readonly action: string;
  readonly status: Status;
  /** How it is known, or why it is not. */
  readonly why: string;
  readonly resource: string | null;
  readonly principal: string | null;
  /** To be added to the principal's policy; null unless denied. */
  readonly statement: PolicyStatement | null;
  /** What happens without it, when it is not a failure. */
  readonly without: string | null;
}

export interface CapabilityVerdict {
  readonly name: AwsCapability;
  readonly title: string;
  readonly status: Status;
  /** Actions that are denied or unknown. */
  readonly actions: readonly string[];
  /** What works less well. */
  readonly notes: readonly string[];
}

export interface PermissionReport {
  readonly account: string;
  readonly principal: string;
  readonly region: string;
  readonly capabilities: readonly CapabilityVerdict[];
  readonly actions: readonly ActionVerdict[];
  readonly network: NetworkReport;
  /** What to know besides, e.g. that the role does not exist yet. */
  readonly notes: readonly string[];
}

const PROOF = {
  call: "the call was made",
  "dry-run": "EC2's dry run",
  simulator: "IAM's simulator",
} as const;

const STAND_IN_NOTE =
  "tried on an id that does not exist: a policy that allows it by tags refuses that too (iam:SimulatePrincipalPolicy would tell)";

/** The rows that a preflight judges: not those of the set-up, which only an admin makes. */
export function judgedRows(): readonly ActionRow[] {
  return ACTIONS.filter((row) => {
    const { tiers, feature } = STATEMENTS[row.sid];
    return (tiers as readonly string[]).includes("user") && feature !== "explain" && feature !== "kms";
  });
}

/** Turns what was seen about a row into a verdict. */
export function judge(row: ActionRow, outcome: Outcome | undefined, principal: string): ActionVerdict {
  const base = { id: row.id, action: row.action, without: row.without ?? null };
  const nothing = { resource: null, principal: null, statement: null };
  switch (outcome?.kind) {
    case "allowed":
      return { ...base, ...nothing, status: "allowed", why: PROOF[outcome.via] };
    case "denied": {
      const denial: Denial = { principal, ...outcome.denial };
      const isUseless = denial.cause.kind === "explicit-deny";
      return {
        ...base,
        status: "denied",
        why: [
          PROOF[outcome.via],
          ...(isUseless ? ["an explicit deny"] : []),
          ...(outcome.isOnStandIn ? [STAND_IN_NOTE] : []),
        ].join("; "),
        resource: denial.resource ?? null,
        principal: denial.principal ?? null,
        statement: isUseless ? null : statementFor(denial),
      };
    }
    case "open":
      return { ...base, ...nothing, status: "unknown", why: outcome.why };
    case undefined:
      return { ...base, ...nothing, status: "unknown", why: "it was not tried" };
  }
}

/** Sums the verdicts up by what a user does; capabilities in the table's order. */
export function judgeCapabilities(
  verdicts: readonly ActionVerdict[],
  names: readonly AwsCapability[],
): readonly CapabilityVerdict[] {
  const byId = new Map(verdicts.map((each) => [each.id, each]));
  return names.map((name) => {
    const mine = ACTIONS.filter((row) => row.needs.includes(name)).flatMap((row) => byId.get(row.id) ?? []);
    const vital = mine.filter((each) => each.without === null);
    const bad = vital.filter((each) => each.status !== "allowed");
    const worst = bad.some((each) => each.status === "denied") ? "denied" : "unknown";
    return {
      name,
      title: CAPABILITIES[name],
      status: bad.length === 0 ? "allowed" : worst,
      actions: bad.filter((each) => each.status === worst).map((each) => each.id),
      notes: mine.flatMap((each) =>
        each.without !== null && each.status === "denied" ? [`without ${each.action}, ${each.without}`] : [],
      ),
    };
  });
}

/** Sums up what to add, one statement for each `Sid`, in the order of the verdicts. */
export function missingStatements(verdicts: readonly ActionVerdict[]): readonly PolicyStatement[] {
  const bySid = new Map<string, PolicyStatement>();
  for (const { statement } of verdicts) {
    if (statement === null) continue;
    const before = bySid.get(statement.Sid);
    bySid.set(statement.Sid, before === undefined ? statement : join(before, statement));
  }
  return [...bySid.values()];
}

function join(one: PolicyStatement, other: PolicyStatement): PolicyStatement {
  return {
    ...one,
    Action: oneOrAll([...new Set([one.Action, other.Action].flat())]),
    Resource: oneOrAll([...new Set([one.Resource, other.Resource].flat())]),
  };
}

function oneOrAll(values: readonly string[]): string | readonly string[] {
  const [first, ...rest] = values;
  return first !== undefined && rest.length === 0 ? first : values;
}
