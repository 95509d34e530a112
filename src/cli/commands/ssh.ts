import { followUnlessAsync } from "../follow.ts";
import type { Context } from "../context.ts";
import type { Input } from "../parser/spec.ts";
import type { sshDownSpec, sshUpSpec } from "../specs/infra.ts";

/** `sky ssh up`: sets up the hosts of one pool, or of all. */
export async function runSshUp({ options }: Input<typeof sshUpSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient();
  const { sendPools, setUpPools } = await import("../../client/ssh-pools.ts");
  const { infra, file, asyncCall } = options;
  if (file !== undefined) await sendPools(client, { file, infra, home: ctx.home, cwd: ctx.cwd, signal: ctx.signal });
  await followUnlessAsync(ctx, setUpPools(client, "deploy", { infra, signal: ctx.signal }), asyncCall);
}

/** `sky ssh down`: removes what we have put on the hosts. */
export async function runSshDown({ options }: Input<typeof sshDownSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient();
  const { setUpPools } = await import("../../client/ssh-pools.ts");
  const { infra, asyncCall } = options;
  await followUnlessAsync(ctx, setUpPools(client, "down", { infra, signal: ctx.signal }), asyncCall);
}
