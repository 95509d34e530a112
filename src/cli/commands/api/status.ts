import type { RequestPayload } from "../../../client/wire-types.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import { makeColors, type Colors } from "../../render/colors.ts";
import { printJson } from "../../render/json.ts";
import { colorStatus } from "../../render/managed.ts";
import { renderTable } from "../../render/table.ts";
import { renderAgo } from "../../render/time.ts";
import type { apiStatusSpec } from "../../specs/api.ts";

const ID_WIDTH = 36;

/** `sky api status`: requests, newest first. Requests of the server's own daemons are left out unless asked for by id. */
export async function runApiStatus({ args, options }: Input<typeof apiStatusSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const named = args.requestIdPrefixes.length > 0;
  const all = await client.api.status({
    ...(named ? { ids: args.requestIdPrefixes } : {}),
    all: options.allStatus || named,
    limit: options.limit ?? undefined,
    cluster: options.cluster,
    signal: ctx.signal,
  });
  const rows = named ? all : all.filter((row) => !isDaemon(row));
  if (options.outputFormat === "json") {
    printJson(ctx.out, rows);
    return;
  }
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  ctx.out.write(`${renderRequests(rows, { colors, verbose: options.verbose, now: ctx.clock.now() / 1000 })}\n`);
  if (!named && options.limit !== null && rows.length >= options.limit) {
    ctx.out.write(`\nShowing ${options.limit} requests. Use "-l none" or "-l all" to show all requests.\n`);
  }
}

function isDaemon(row: RequestPayload): boolean {
  return row.user_id === "skypilot-system" || row.user_name === "skypilot-system" || row.request_id.endsWith("-daemon");
}

interface RenderOptions {
  readonly colors: Colors;
  readonly verbose: boolean;
  /** Epoch seconds. */
  readonly now: number;
}

function renderRequests(rows: readonly RequestPayload[], options: RenderOptions): string {
  const { colors, verbose, now } = options;
  const header = ["ID", "User", "Name", ...(verbose ? ["Cluster"] : []), "Created", "Status"];
  const cells = rows.map((row) => [
    verbose || row.request_id.length <= ID_WIDTH ? row.request_id : `${row.request_id.slice(0, ID_WIDTH)}...`,
    row.user_name ?? row.user_id,
    row.name,
    ...(verbose ? [row.cluster_name ?? "-"] : []),
    renderAgo(row.created_at, now),
    colorStatus(row.status, colors),
  ]);
  return renderTable(header, cells.length === 0 ? [header.map(() => "-")] : cells);
}
