import { SkyError } from "../shared/errors.ts";
import type { Context } from "./context.ts";

type Login = (profile: string | undefined) => Promise<void>;

/**
 * Runs a command. When it fails because an AWS session has ended, and somebody sits at the terminal of a local server, logs in and
 * runs the command once more; what the first run did is not done twice, because it failed before it changed anything.
 */
export async function withRelogin<T>(ctx: Context, run: () => Promise<T>, login: Login = loginWith(ctx)): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const wanted = loginIn(error);
    const isAttended = ctx.out.isTTY && ctx.err.isTTY && !ctx.command.startsWith("aws ");
    if (wanted === undefined || !isAttended || !(await ctx.openClient()).endpoint.local) throw error;
    ctx.err.write(`${wanted.message}\nLogging in again.\n`);
    await login(wanted.profile);
    return await run();
  }
}

/** The login that an error's hint asks for; undefined when no login repairs it. */
export function loginIn(
  error: unknown,
): { readonly message: string; readonly profile: string | undefined } | undefined {
  if (!(error instanceof SkyError) || error.wireName !== "CloudUserIdentityError") return undefined;
  const match = /^\s*\$ sky aws login(?: --profile (?:'([^']+)'|(\S+)))?$/mu.exec(error.hint ?? "");
  return match === null ? undefined : { message: error.message, profile: match[1] ?? match[2] };
}

function loginWith(ctx: Context): Login {
  return async (profile) => {
    const { runAwsLogin } = await import("./commands/aws/login.ts");
    await runAwsLogin({ args: {}, options: { config: [], profile, noBrowser: false } }, ctx);
  };
}
