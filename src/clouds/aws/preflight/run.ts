import { CAPABILITIES, ROLE_NAME, type AwsCapability } from "../actions.ts";
import type { AwsClients } from "../clients.ts";
import { tryBuckets } from "./bucket-trials.ts";
import { explore, type Exploration } from "./facts.ts";
import { tryLaunch } from "./launch-trial.ts";
import { inspectNetwork, type NetworkWish } from "./network.ts";
import { outcomeFor, type Outcome } from "./outcome.ts";
import { judge, judgeCapabilities, judgedRows, type PermissionReport } from "./report.ts";
import { simulate, type Principal } from "./simulate.ts";
import { dryTrials } from "./trials.ts";

export interface PreflightWish {
  /** Whose rights are in question: the identity of the clients' credentials. */
  readonly principal: Principal;
  readonly region: string;
  /** What the report is about; none = everything. */
  readonly capabilities: readonly AwsCapability[];
  /** Buckets that will be used. */
  readonly buckets: readonly string[];
  readonly network: NetworkWish;
}

/**
 * Finds out what the principal may do, changing nothing: reads, dry runs, then IAM's simulator for what is still open. Throws when
 * the credentials cannot be used at all.
 */
export async function runPreflight(
  clients: AwsClients,
  wish: PreflightWish,
  options: { readonly signal?: AbortSignal } = {},
): Promise<PermissionReport> {
  const { principal } = wish;
  const exploration = await explore(clients, wish.region, options);
  const outcomes = await tryEverything(clients, exploration, wish, options);
  const rows = judgedRows();
  const open = rows.filter((row) => isOpen(outcomes.get(row.id)));
  const simulated = await simulate(await clients.iam(), principal, open, {
    place: { region: wish.region, buckets: wish.buckets },
    ...options,
  });
  for (const [id, outcome] of simulated) outcomes.set(id, decide(outcomes.get(id), outcome));
  const actions = rows.map((row) => judge(row, outcomes.get(row.id), principal.arn));
  const names = (Object.keys(CAPABILITIES) as AwsCapability[]).filter(
    (name) => wish.capabilities.length === 0 || wish.capabilities.includes(name),
  );
  return {
    account: principal.account,
    principal: principal.arn,
    region: wish.region,
    capabilities: judgeCapabilities(actions, names),
    actions,
    network: inspectNetwork(exploration.facts, wish.network),
    notes: notesOn(exploration),
  };
}

async function tryEverything(
  clients: AwsClients,
  { facts, outcomes }: Exploration,
  wish: PreflightWish,
  options: { readonly signal?: AbortSignal },
): Promise<Map<string, Outcome>> {
  const ec2 = await clients.ec2(wish.region);
  const [launch, buckets, ...dry] = await Promise.all([
    tryLaunch(ec2, facts, options),
    tryBuckets(clients, wish.buckets, options),
    ...dryTrials(ec2, facts, options).map(
      async (trial) => [trial.id, outcomeFor(trial.id, await trial.run())] as const,
    ),
  ]);
  const all = new Map<string, Outcome>([...outcomes, ...buckets, ...launch]);
  // A row may be tried twice, e.g. tags at a launch and later: a refusal of either counts.
  for (const [id, outcome] of dry) all.set(id, worse(all.get(id), outcome));
  return all;
}

function worse(one: Outcome | undefined, other: Outcome): Outcome {
  const rank = { denied: 0, allowed: 1, open: 2 } as const;
  return one !== undefined && rank[one.kind] <= rank[other.kind] ? one : other;
}

function isOpen(outcome: Outcome | undefined): boolean {
  return outcome === undefined || outcome.kind === "open" || (outcome.kind === "denied" && outcome.isOnStandIn);
}

/** Chooses between a trial that settled nothing, or was made on a stand-in, and the simulator. */
function decide(tried: Outcome | undefined, simulated: Outcome): Outcome {
  if (simulated.kind !== "open" || tried === undefined) return simulated;
  if (tried.kind !== "open") return tried;
  return { kind: "open", why: `${tried.why}; ${simulated.why}` };
}

function notesOn({ facts, outcomes }: Exploration): readonly string[] {
  const notes: string[] = [];
  if (facts.profileArn === undefined && outcomes.get("iam:GetInstanceProfile")?.kind === "allowed") {
    notes.push(
      `The instance profile ${ROLE_NAME} does not exist yet: the first launch creates it (needs "role creation"), or an admin runs: sky aws setup`,
    );
  }
  return notes;
}
