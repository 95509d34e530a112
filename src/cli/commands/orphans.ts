import type { OrphanRecord } from "../../shared/wire/orphans.ts";
import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { waitAloud } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { printJson } from "../render/json.ts";
import { renderTable } from "../render/table.ts";
import { renderAgo } from "../render/time.ts";
import type { orphansSpec } from "../specs/clusters.ts";

/** `sky orphans`: clusters on the clouds that the server does not know. Exit code 1 when one could not be removed or adopted. */
export async function runOrphans({ args, options }: Input<typeof orphansSpec>, ctx: Context): Promise<number> {
  if (options.down && options.adopt) throw new UsageError("--down and --adopt exclude each other.");
  const client = await ctx.openClient({ config: options.config });
  const wish = { clusters: args.clusters, allUsers: options.allUsers, signal: ctx.signal };
  const found = await waitAloud(ctx, client.orphans({ ...wish, action: "list" }));
  const action = options.down ? "down" : options.adopt ? "adopt" : undefined;
  if (action === undefined || found.length === 0) return show(found, options.outputFormat, ctx);
  const names = found.map((one) => one.name_on_cloud);
  if (options.outputFormat !== "json") show(found, options.outputFormat, ctx);
  const question = `${action === "down" ? "Removing" : "Adopting"} ${names.length} orphan(s): ${names.join(", ")}. Proceed?`;
  if (!options.yes) await ctx.confirm(question);
  // Exactly those that were shown.
  const done = await waitAloud(ctx, client.orphans({ ...wish, clusters: names, action }));
  if (options.outputFormat === "json") printJson(ctx.out, done);
  else for (const one of done) ctx.out.write(`${one.name_on_cloud}: ${one.problem ?? one.outcome ?? ""}\n`);
  return done.some((one) => one.outcome === "failed") ? 1 : 0;
}

const HEADER = ["NAME", "INFRA", "NODES", "INSTANCE", "STATE", "LAUNCHED", "USER"] as const;

function show(found: readonly OrphanRecord[], format: string | undefined, ctx: Context): number {
  if (format === "json") {
    printJson(ctx.out, found);
    return 0;
  }
  if (found.length === 0) {
    ctx.out.write("No orphans.\n");
    return 0;
  }
  const now = ctx.clock.now() / 1000;
  const rows = found.map((one) => [
    one.name_on_cloud,
    one.infra,
    String(one.nodes),
    one.instance_type === "" ? "-" : one.instance_type,
    one.states.length === 0 ? "only firewall rules" : [...new Set(one.states)].join(", "),
    one.launched_at === null ? "-" : renderAgo(one.launched_at, now),
    one.user_name === "" ? "-" : one.user_name,
  ]);
  ctx.out.write(`${renderTable(HEADER, rows)}\n\n`);
  ctx.out.write("To remove them: sky orphans --down. To take them into the server's database: sky orphans --adopt\n");
  return 0;
}
