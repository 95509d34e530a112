import type { OperationContext } from "../core/operation.ts";
import { cloudContext } from "../core/clusters/cluster.ts";
import type { SshPoolsBody } from "../shared/wire/ssh-node-pools.ts";
import type { AnyOperation } from "./requests/types.ts";

/** `sky ssh up` and `sky ssh down`, which are commands of one cloud under names of their own. */
export function sshPoolOperations(): Record<string, AnyOperation> {
  return Object.fromEntries(
    (["up", "down"] as const).map((command) => [
      `ssh_${command}`,
      {
        name: `server.ssh_${command}`,
        wireName: `ssh_node_pools.${command}`,
        schedule: "long",
        isResumable: true,
        run: (body: SshPoolsBody, context: OperationContext) => runCommand(command, body, context),
      } satisfies AnyOperation,
    ]),
  );
}

async function runCommand(command: string, body: SshPoolsBody, context: OperationContext): Promise<null> {
  const cloud = await context.clouds.load("ssh");
  const { infra } = body;
  await cloud.commands?.[command]?.run(infra === undefined ? {} : { infra }, {
    ...cloudContext(context),
    say: (line) => context.log.line(line),
    openUrl: () => undefined,
  });
  return null;
}
