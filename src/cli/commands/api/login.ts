import { loginToServer } from "../../../client/login.ts";
import { InvalidValueError } from "../../../shared/errors.ts";
import { openBrowser } from "../../browser.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import { makeColors } from "../../render/colors.ts";
import type { apiLoginSpec } from "../../specs/api.ts";

/** `sky api login`: saves the endpoint, and what the server hands out as proof of identity. */
export async function runApiLogin({ options }: Input<typeof apiLoginSpec>, ctx: Context): Promise<void> {
  const token = options.serviceAccountToken;
  if (token !== undefined && !token.startsWith("sky_")) {
    throw new InvalidValueError('Invalid service account token format. Token must start with "sky_"');
  }
  const given = options.endpoint ?? (await ctx.ask("Enter your SkyPilot API server endpoint: "));
  const endpoint = given.trim().replace(/\/+$/, "");
  if (!/^https?:\/\//.test(endpoint)) {
    throw new InvalidValueError(`Endpoint ${endpoint} is not a valid URL.`, {
      hint: "it starts with http:// or https://",
    });
  }
  const health = await loginToServer({
    endpoint,
    token,
    relogin: options.relogin,
    env: ctx.env,
    home: ctx.home,
    clock: ctx.clock,
    packageDir: ctx.packageDir,
    openPage: (url) => {
      ctx.out.write(`Open this page to log in: ${url}\n`);
      if (!options.noBrowser) openBrowser(url, ctx);
    },
    askToken: (page) => ctx.ask(`Open ${page} and paste the token shown there: `),
    signal: ctx.signal,
  });
  const { dim } = makeColors(ctx.env, ctx.out.isTTY);
  const user = health.user;
  const lines = [`Logged into SkyPilot API server at: ${endpoint}`];
  if (user !== undefined && user !== null) lines.push(`${dim("├──")} User: ${user.name} (${user.id})`);
  lines.push(`${dim("└──")} Dashboard: ${endpoint}/dashboard`);
  ctx.out.write(`${lines.join("\n")}\n`);
}
