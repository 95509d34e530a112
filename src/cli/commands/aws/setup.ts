import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import { printJson } from "../../render/json.ts";
import type { awsSetupSpec } from "../../specs/aws-policy.ts";
import { askCloud, textOf } from "./answer.ts";

/** `sky aws setup`: shows the plan, asks, does it. */
export async function runAwsSetup({ options }: Input<typeof awsSetupSpec>, ctx: Context): Promise<number | void> {
  const client = await ctx.openClient({ config: options.config });
  const args = { features: options.features, regions: options.region, tag_scoped: options.tagScoped };
  const planned = await askCloud(ctx, client, { cloud: "aws", command: "setup", args: { ...args, dry_run: true } });
  if (options.outputFormat === "json" && options.dryRun) {
    printJson(ctx.out, planned["plan"]);
    return;
  }
  ctx.out.write(textOf(planned));
  if (options.dryRun || !hasSteps(planned)) return;
  if (!options.yes && !(await ctx.confirm("Proceed?"))) return 1;
  const done = await askCloud(ctx, client, { cloud: "aws", command: "setup", args, isFollowed: true });
  ctx.out.write(textOf(done));
}

function hasSteps(answer: Readonly<Record<string, unknown>>): boolean {
  const plan = answer["plan"];
  if (typeof plan !== "object" || plan === null) return false;
  const steps: unknown = Reflect.get(plan, "steps");
  return Array.isArray(steps) && steps.length > 0;
}
