import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import { printJson } from "../../render/json.ts";
import type { awsPolicySpec } from "../../specs/aws-policy.ts";
import { askCloud, readTaskDocuments, textOf } from "./answer.ts";

/** `sky aws policy`: the IAM policy, ready to be pasted. */
export async function runAwsPolicy({ options }: Input<typeof awsPolicySpec>, ctx: Context): Promise<void> {
  const task = options.from === undefined ? undefined : await readTaskDocuments(ctx, options.from);
  const client = await ctx.openClient({ config: options.config });
  const answer = await askCloud(ctx, client, {
    cloud: "aws",
    command: "policy",
    args: {
      features: options.features,
      tier: options.tier,
      regions: options.region,
      tag_scoped: options.tagScoped,
      buckets: options.bucket,
      diff: options.diff,
      ...(task === undefined ? {} : { task }),
      ...(options.account === undefined ? {} : { account: options.account }),
    },
  });
  if (options.outputFormat === "json") printJson(ctx.out, options.diff ? answer : answer["policy"]);
  else ctx.out.write(textOf(answer));
}
