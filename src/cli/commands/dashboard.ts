import type { SkyClient } from "../../client/sky-client.ts";
import type { Context } from "../context.ts";
import { openBrowser } from "../browser.ts";

interface DashboardInput {
  readonly options: { readonly config: readonly string[] };
}

/** `sky dashboard`. */
export async function runDashboard(input: DashboardInput, ctx: Context): Promise<void> {
  await openPage("/dashboard/clusters", input, ctx);
}

/** `sky jobs dashboard`. */
export async function runJobsDashboard(input: DashboardInput, ctx: Context): Promise<void> {
  await openPage("/dashboard/jobs", input, ctx);
}

async function openPage(path: string, { options }: DashboardInput, ctx: Context): Promise<void> {
  const client: SkyClient = await ctx.openClient({ config: options.config });
  // A call that starts the local server when it is not there: the page would not open without it.
  await client.session.json("GET", "/api/health", { repeatable: true, signal: ctx.signal });
  const url = `${client.endpoint.url}${path}`;
  ctx.out.write(`Opening dashboard in browser: ${url}\n`);
  openBrowser(url, ctx);
}
