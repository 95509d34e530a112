import {
  GetRoleCommand,
  SimulatePrincipalPolicyCommand,
  type ContextEntry,
  type EvaluationResult,
  type IAMClient,
} from "@aws-sdk/client-iam";
import { ROLE_NAME, type ActionRow } from "../actions.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { fillResource } from "../policy/document.ts";
import type { Outcome } from "./outcome.ts";

export interface Principal {
  /** As GetCallerIdentity gives it. */
  readonly arn: string;
  readonly account: string;
}

export interface SimulationPlace {
  readonly region: string;
  /** Buckets that are meant, else any. */
  readonly buckets: readonly string[];
}

/** What is true of the calls of the product, for policies that depend on it. */
const CONTEXT: readonly (readonly [string, string])[] = [
  ["iam:AWSServiceName", "spot.amazonaws.com"],
  ["iam:PassedToService", "ec2.amazonaws.com"],
  ["aws:ResourceTag/skypilot-cluster-name", "permission-check"],
  ["aws:RequestTag/skypilot-cluster-name", "permission-check"],
  ["ssm:resourceTag/skypilot-cluster-name", "permission-check"],
  ["aws:ResourceTag/skypilot", "true"],
  ["aws:RequestTag/skypilot", "true"],
];

/**
 * Asks IAM's simulator about rows that nothing else could tell. It knows neither session policies nor those of buckets, so it is
 * asked last. Rows that it cannot tell stay open, with why.
 */
export async function simulate(
  iam: IAMClient,
  principal: Principal,
  rows: readonly ActionRow[],
  options: { readonly place: SimulationPlace; readonly signal?: AbortSignal },
): Promise<ReadonlyMap<string, Outcome>> {
  const source = await policySource(iam, principal, options.signal);
  if (source === undefined) {
    return openAll(rows, `IAM's simulator does not know ${principal.arn}`);
  }
  const groups = Map.groupBy(rows, (row) => [...resourcesOf(row, principal, options.place), isTagging(row)].join(" "));
  const outcomes = new Map<string, Outcome>();
  for (const group of groups.values()) {
    const found = await simulateGroup(iam, { source, principal }, group, options);
    for (const [id, outcome] of found) outcomes.set(id, outcome);
    // Who may not ask about one action may not ask about any.
    if ([...found.values()].some((each) => each.kind === "open" && each.why.startsWith(NOT_ALLOWED))) {
      return openAll(rows, NOT_ALLOWED);
    }
  }
  return outcomes;
}

const NOT_ALLOWED = "it cannot be tried without an effect, and iam:SimulatePrincipalPolicy is not allowed";

function openAll(rows: readonly ActionRow[], why: string): ReadonlyMap<string, Outcome> {
  return new Map(rows.map((row) => [row.id, { kind: "open", why }]));
}

async function simulateGroup(
  iam: IAMClient,
  who: { readonly source: string; readonly principal: Principal },
  rows: readonly ActionRow[],
  options: { readonly place: SimulationPlace; readonly signal?: AbortSignal },
): Promise<ReadonlyMap<string, Outcome>> {
  const [first] = rows;
  if (first === undefined) return new Map();
  const input = {
    PolicySourceArn: who.source,
    ActionNames: [...new Set(rows.map((row) => row.action))],
    ResourceArns: resourcesOf(first, who.principal, options.place),
    ContextEntries: contextEntries(options.place.region, isTagging(first)),
  };
  const http = options.signal === undefined ? {} : { abortSignal: options.signal };
  try {
    const results: EvaluationResult[] = [];
    let marker: string | undefined;
    do {
      const page = await iam.send(
        new SimulatePrincipalPolicyCommand(marker === undefined ? input : { ...input, Marker: marker }),
        http,
      );
      results.push(...(page.EvaluationResults ?? []));
      marker = page.IsTruncated === true ? page.Marker : undefined;
    } while (marker !== undefined);
    return new Map(rows.map((row) => [row.id, verdictOf(row, results, who.principal)]));
  } catch (error) {
    const why = whyNot(error);
    return openAll(rows, why);
  }
}

function whyNot(error: unknown): string {
  if (error instanceof AwsDeniedError) return NOT_ALLOWED;
  const failure = failureOf(error);
  if (failure === undefined) throw error;
  return `it cannot be tried without an effect, and IAM's simulator answered ${failure.name}`;
}

interface Decision {
  readonly resource: string | undefined;
  readonly decision: string;
  readonly missing: readonly string[];
  readonly statement: string | undefined;
}

function decisionsOf(row: ActionRow, results: readonly EvaluationResult[]): readonly Decision[] {
  return results
    .filter((each) => each.EvalActionName?.toLowerCase() === row.action.toLowerCase())
    .flatMap((each) => {
      const parts = each.ResourceSpecificResults ?? [];
      const own = { EvalResourceName: each.EvalResourceName, EvalResourceDecision: each.EvalDecision };
      return (parts.length === 0 ? [{ ...each, ...own }] : parts).map((part) => ({
        resource: part.EvalResourceName,
        decision: part.EvalResourceDecision ?? "",
        missing: part.MissingContextValues ?? [],
        statement: part.MatchedStatements?.[0]?.SourcePolicyId,
      }));
    });
}

function verdictOf(row: ActionRow, results: readonly EvaluationResult[], principal: Principal): Outcome {
  const decisions = decisionsOf(row, results);
  const refused = decisions.find((each) => each.decision !== "allowed");
  if (decisions.length === 0) return { kind: "open", why: "IAM's simulator did not answer for it" };
  if (refused === undefined) return { kind: "allowed", via: "simulator" };
  if (refused.decision === "implicitDeny" && refused.missing.length > 0) {
    return { kind: "open", why: `it depends on ${refused.missing.join(", ")}` };
  }
  const isExplicit = refused.decision === "explicitDeny";
  return {
    kind: "denied",
    via: "simulator",
    isOnStandIn: false,
    denial: {
      action: row.action,
      ...(refused.resource === undefined || refused.resource === "*" ? {} : { resource: refused.resource }),
      principal: principal.arn,
      cause: isExplicit
        ? { kind: "explicit-deny", by: refused.statement ?? "a policy" }
        : { kind: "not-allowed", by: "identity-based" },
    },
  };
}

function contextEntries(region: string, isTagging: boolean): ContextEntry[] {
  const entries = [...CONTEXT, ["aws:RequestedRegion", region] as const];
  if (isTagging) entries.push(["ec2:CreateAction", "RunInstances"]);
  return entries.map(([key, value]) => ({
    ContextKeyName: key,
    ContextKeyType: "string",
    ContextKeyValues: [value],
  }));
}

function isTagging(row: ActionRow): boolean {
  return row.action === "ec2:CreateTags" && row.id !== "ec2:CreateTags/instance";
}

function resourcesOf(row: ActionRow, principal: Principal, place: SimulationPlace): string[] {
  const where = { account: principal.account, regions: [place.region] };
  return row.resources
    .flatMap((each) => fillResource(each, where))
    .flatMap((arn) => {
      const named = /^(arn:[\w-]+:s3:::)\*(\/\*)?$/u.exec(arn);
      if (named === null || place.buckets.length === 0) return [arn];
      return place.buckets.map((bucket) => `${named[1] ?? ""}${bucket}${named[2] ?? ""}`);
    });
}

/** The ARN of the user or role whose policies count; undefined for principals that have none of their own. */
async function policySource(
  iam: IAMClient,
  principal: Principal,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (/:iam::\d+:user\//u.test(principal.arn)) return principal.arn;
  const assumed = /^arn:([\w-]+):sts::(\d+):assumed-role\/([^/]+)\//u.exec(principal.arn);
  if (assumed === null) return undefined;
  const [, partition = "aws", account = "", name = ""] = assumed;
  const withoutPath = `arn:${partition}:iam::${account}:role/${name}`;
  if (name === ROLE_NAME) return withoutPath;
  // Roles of SSO live under a path that the session's ARN does not show.
  const http = signal === undefined ? {} : { abortSignal: signal };
  return iam.send(new GetRoleCommand({ RoleName: name }), http).then(
    (answer) => answer.Role?.Arn ?? withoutPath,
    () => withoutPath,
  );
}
