import { logoutFromServer } from "../../../client/login.ts";
import { OperationFailedError } from "../../../shared/errors.ts";
import { readVariable } from "../../../platform/env.ts";
import type { Context } from "../../context.ts";

/** `sky api logout`: forgets the endpoint and the proof of identity. */
export async function runApiLogout(_input: unknown, ctx: Context): Promise<void> {
  if (readVariable(ctx.env, "SKYPILOT_API_SERVER_ENDPOINT") !== undefined) {
    throw new OperationFailedError(
      "Cannot log out of an API server whose endpoint comes from the environment variable SKYPILOT_API_SERVER_ENDPOINT.",
      { hint: "unset SKYPILOT_API_SERVER_ENDPOINT" },
    );
  }
  const client = await ctx.openClient();
  if (client.endpoint.local) {
    throw new OperationFailedError("Local api server cannot be logged out. Use `sky api stop` instead.");
  }
  await logoutFromServer(ctx.env, ctx.home);
  ctx.out.write("Logged out of SkyPilot API server.\n");
}
