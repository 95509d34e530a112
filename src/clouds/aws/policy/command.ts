import type { CloudCommand, CloudContext } from "../../../core/ports/cloud.ts";
import { InvalidValueError } from "../../../shared/errors.ts";
import { ACTIONS } from "../actions.ts";
import { textField, type JsonObject } from "../auth/json.ts";
import { awsConfig, taskField, textsField, type OpenSession } from "../command-args.ts";
import { AwsAuthError } from "../errors.ts";
import { checkPermissions } from "../preflight/command.ts";
import { missingStatements, type PermissionReport } from "../preflight/report.ts";
import { withServiceErrors } from "../service-errors.ts";
import { parseBuckets } from "./bucket-scope.ts";
import {
  buildPolicy,
  parseFeatures,
  parseTier,
  partitionOfArn,
  renderPolicy,
  wishedSids,
  type Partition,
  type PolicyDocument,
  type PolicyStatement,
  type PolicyWish,
} from "./document.ts";
import { describePrincipal } from "./remedy.ts";
import { needsOf } from "./task-needs.ts";

/** The answer of `policy`: the document, or with `diff` what of it the principal lacks; and the same as text. */
export interface PolicyAnswer {
  readonly policy: PolicyDocument;
  readonly missing?: readonly PolicyStatement[];
  /** Actions of the policy of which nobody can tell. */
  readonly unknown?: readonly string[];
  readonly text: string;
}

/**
 * `sky aws policy`. Arguments: `features` (list of names), `task`, `tier`, `account`, `regions`, `tag_scoped`, `buckets`, `diff`. Needs no
 * credentials when the account is given and no difference is asked for.
 */
export function policyCommand(open: OpenSession): CloudCommand {
  return {
    run: async (args, context): Promise<PolicyAnswer> => {
      const wish = await readPolicyWish(open, args, context);
      const policy = buildPolicy(wish);
      if (args["diff"] !== true) return { policy, text: renderPolicy(policy) };
      if (wish.tier !== "user") throw new InvalidValueError("A difference can only be told for the tier user.");
      if ((wish.buckets ?? []).length > 0) {
        throw new InvalidValueError("A difference cannot be told for single buckets.", {
          hint: "Leave --diff or --bucket out.",
        });
      }
      const report = await withServiceErrors(() =>
        checkPermissions(open, { ...args, region: wish.regions[0] }, context),
      );
      return compare(policy, wish, report);
    },
  };
}

/** Reads which policy is asked for; the account of the credentials in use when none is named. */
export async function readPolicyWish(open: OpenSession, args: JsonObject, context: CloudContext): Promise<PolicyWish> {
  const task = taskField(args);
  const features = parseFeatures(textsField(args, "features"));
  const needed = task === undefined ? [] : needsOf(task, awsConfig(context)).features;
  const account = textField(args, "account");
  return {
    tier: parseTier(textField(args, "tier") ?? "user"),
    features: [...new Set([...features, ...needed])],
    ...(account === undefined ? await accountInUse(open, context) : { account }),
    regions: textsField(args, "regions").flatMap((list) => list.split(",")),
    isTagScoped: args["tag_scoped"] === true,
    buckets: parseBuckets(textsField(args, "buckets")),
  };
}

async function accountInUse(
  open: OpenSession,
  context: CloudContext,
): Promise<{ readonly account: string; readonly partition: Partition }> {
  try {
    const { account, arn } = await open(context).identity();
    return { account, partition: partitionOfArn(arn) ?? "aws" };
  } catch (error) {
    if (!(error instanceof AwsAuthError)) throw error;
    const hint = "Name the account: --account 123456789012";
    throw new InvalidValueError(`The policy names your account, which is not known: ${error.message}`, {
      hint,
      cause: error,
    });
  }
}

function compare(policy: PolicyDocument, wish: PolicyWish, report: PermissionReport): PolicyAnswer {
  // By statement, not by action: ec2:CreateTags on a placement group is not what a task without EFA needs.
  const sids = new Set(wishedSids(wish));
  const ids = new Set(ACTIONS.filter((row) => sids.has(row.sid)).map((row) => row.id));
  const mine = report.actions.filter((each) => ids.has(each.id));
  const missing = missingStatements(mine);
  const unknown = [...new Set(mine.filter((each) => each.status === "unknown").map((each) => each.action))];
  const who = describePrincipal(report.principal);
  const lines = missing.length === 0 ? [`Nothing that is known is missing to ${who}.`] : [`Missing to ${who}:`];
  lines.push(...missing.map((each) => `+ ${JSON.stringify(each)}`));
  if (unknown.length > 0) lines.push(`Not known (neither tried nor simulated): ${unknown.join(", ")}`);
  return { policy, missing, unknown, text: lines.join("\n") };
}
