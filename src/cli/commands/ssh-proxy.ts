import type { Context } from "../context.ts";
import { openClient } from "../open-client.ts";
import type { Input } from "../parser/spec.ts";
import type { sshProxySpec } from "../specs/infra.ts";

/** `sky ssh-proxy`: what ssh runs to reach a node through the API server. ssh itself reads and writes this process's streams. */
export async function runSshProxy({ args, options }: Input<typeof sshProxySpec>, ctx: Context): Promise<void> {
  const env = options.endpoint === undefined ? ctx.env : { ...ctx.env, SKYPILOT_API_SERVER_ENDPOINT: options.endpoint };
  const client = await openClient({ ...ctx, env }, {});
  const { stdin: input, stdout: output } = process;
  await client.session.tunnelSsh({ cluster: args.cluster, node: args.node ?? 0, input, output });
}
