import type { CloudCommand, CloudCommandContext } from "../../../core/ports/cloud.ts";
import { USER_POLICY_NAME, type Feature } from "../actions.ts";
import type { JsonObject } from "../auth/json.ts";
import { openClients } from "../clients.ts";
import type { OpenSession } from "../command-args.ts";
import { readPolicyWish } from "../policy/command.ts";
import { partitionOfArn } from "../policy/document.ts";
import { withServiceErrors } from "../service-errors.ts";
import { planSetup, renderStep, type SetupPlan } from "./plan.ts";

/** The answer of `setup`: what was, or with `dry_run` would be, done. */
export interface SetupAnswer {
  readonly plan: SetupPlan;
  readonly isDone: boolean;
  readonly text: string;
}

/** What users get when nothing else is said: all but what only an admin needs. */
const DEFAULT_FEATURES: readonly Feature[] = ["launch", "ports", "s3", "buckets"];

/**
 * `sky aws setup`: role, instance profile and the users' policy, by an admin. Arguments: `features`, `regions`, `tag_scoped`,
 * `dry_run`; the account is the one in use. A second run does what is still missing.
 */
export function setupCommand(open: OpenSession): CloudCommand {
  return { run: (args, context) => withServiceErrors(() => runSetup(open, args, context)) };
}

async function runSetup(open: OpenSession, args: JsonObject, context: CloudCommandContext): Promise<SetupAnswer> {
  const opened = open(context);
  const identity = await opened.identity();
  const asked = await readPolicyWish(open, { ...args, account: undefined }, context);
  const wish = { ...asked, features: asked.features.length === 0 ? DEFAULT_FEATURES : asked.features };
  const place = {
    account: identity.account,
    partition: partitionOfArn(identity.arn) ?? "aws",
    signal: context.signal,
  };
  const clients = openClients(opened.session);
  try {
    const { applyStep, readAccount } = await import("./account.ts");
    const iam = await clients.iam();
    const plan = planSetup(await readAccount(iam, place), wish);
    if (args["dry_run"] === true) return { plan, isDone: false, text: renderPlan(plan, identity.account) };
    for (const step of plan.steps) {
      context.say(`- ${renderStep(step)}`);
      await applyStep(iam, step, place);
    }
    return { plan, isDone: true, text: renderDone(plan, identity.account) };
  } finally {
    clients.close();
  }
}

function renderPlan(plan: SetupPlan, account: string): string {
  const lines = [
    `In account ${account}, \`sky aws setup\` will:`,
    ...plan.steps.map((step) => `  - ${renderStep(step)}`),
  ];
  if (plan.steps.length === 0) lines.splice(0, 1, `Account ${account} is set up: nothing is left to do.`);
  return [...lines, ...rest(plan)].join("\n");
}

function renderDone(plan: SetupPlan, account: string): string {
  if (plan.steps.length === 0) return renderPlan(plan, account);
  return [
    `Account ${account} is set up.`,
    `Attach the policy ${USER_POLICY_NAME} to the users, groups or roles that will use SkyPilot.`,
    ...rest(plan),
  ].join("\n");
}

function rest(plan: SetupPlan): readonly string[] {
  const present = plan.done.length === 0 ? [] : [`Already there: ${plan.done.join("; ")}.`];
  return [...present, ...plan.warnings.map((warning) => `Warning: ${warning}`)];
}
