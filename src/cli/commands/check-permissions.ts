import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import type { Input } from "../parser/spec.ts";
import { printJson } from "../render/json.ts";
import type { checkSpec } from "../specs/clusters.ts";
import { askCloud, readTaskDocuments, textOf } from "./aws/answer.ts";

/** `sky check CLOUD --permissions`: what the credentials in use may do there. */
export async function runCheckPermissions({ args, options }: Input<typeof checkSpec>, ctx: Context): Promise<void> {
  const [cloud, ...others] = args.infraList.map((name) => name.toLowerCase());
  if (cloud === undefined || others.length > 0) {
    throw new UsageError("--permissions needs the name of one cloud, e.g. sky check aws --permissions.");
  }
  const task = options.from === undefined ? undefined : await readTaskDocuments(ctx, options.from);
  const client = await ctx.openClient({ config: options.config, workspace: options.workspace });
  const answer = await askCloud(ctx, client, {
    cloud,
    command: "permissions",
    args: {
      ...(task === undefined ? {} : { task }),
      ...(options.region === undefined ? {} : { region: options.region }),
    },
  });
  if (options.outputFormat === "json") printJson(ctx.out, answer["report"]);
  else ctx.out.write(textOf(answer));
}
