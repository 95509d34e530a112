import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import type { awsLoginSpec } from "../../specs/aws.ts";
import { callAws, openLocalClient } from "./call.ts";

/** `sky aws login`: opens the session that a profile needs, by browser, code or MFA. */
export async function runAwsLogin({ options }: Input<typeof awsLoginSpec>, ctx: Context): Promise<void> {
  const client = await openLocalClient(ctx, options);
  const args = options.profile === undefined ? {} : { profile: options.profile };
  const { noBrowser } = options;
  const answer = await callAws(ctx, client, { command: "login", args, noBrowser });
  if (answer["needs"] !== "mfa_code") return;
  const code = await ctx.ask(`Code of the MFA device ${String(answer["device"])}: `);
  await callAws(ctx, client, { command: "login", args: { ...args, mfa_code: code }, noBrowser });
}
