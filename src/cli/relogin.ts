import { SkyError } from "../shared/errors.ts";
import type { Context } from "./context.ts";

type Login = (profile: string | undefined) => Promise<void>;

/** Runs a part of a command, once more after a login when its AWS session has ended. */
export type Relogin = <T>(run: () => Promise<T>) => Promise<T>;

/**
 * Runs a command. When it fails because an AWS session has ended, and somebody sits at the terminal of a local server, logs in and
 * runs the command once more; what the first run did is not done twice, because it failed before it changed anything.
 */
export async function withRelogin<T>(ctx: Context, run: () => Promise<T>, login: Login = loginWith(ctx)): Promise<T> {
  return await createRelogin(ctx, login)(run);
}

/** The same for parts of a command that run side by side: one login serves them all. */
export function createRelogin(ctx: Context, login: Login = loginWith(ctx)): Relogin {
  const logins = new Map<string | undefined, Promise<void>>();
  const logInOnce = ({ message, profile }: WantedLogin): Promise<void> => {
    const running = logins.get(profile);
    if (running !== undefined) return running;
    ctx.err.write(`${message}\nLogging in again.\n`);
    const started = login(profile);
    logins.set(profile, started);
    return started;
  };
  return async (run) => {
    try {
      return await run();
    } catch (error) {
      const wanted = loginIn(error);
      const isAttended = ctx.out.isTTY && ctx.err.isTTY && !ctx.command.startsWith("aws ");
      if (wanted === undefined || !isAttended || !(await ctx.openClient()).endpoint.local) throw error;
      await logInOnce(wanted);
      return await run();
    }
  };
}

interface WantedLogin {
  readonly message: string;
  readonly profile: string | undefined;
}

/** The login that an error's hint asks for; undefined when no login repairs it. */
export function loginIn(error: unknown): WantedLogin | undefined {
  if (!(error instanceof SkyError) || error.wireName !== "CloudUserIdentityError") return undefined;
  const match = /^\s*\$ sky aws login(?: --profile (?:'([^']+)'|(\S+)))?$/mu.exec(error.hint ?? "");
  return match === null ? undefined : { message: error.message, profile: match[1] ?? match[2] };
}

/** Logs in as `sky aws login` does. */
export function loginWith(ctx: Context): Login {
  return async (profile) => {
    const { runAwsLogin } = await import("./commands/aws/login.ts");
    await runAwsLogin({ args: {}, options: { config: [], profile, noBrowser: false } }, ctx);
  };
}
