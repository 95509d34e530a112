import { displayCloud } from "../../shared/cloud-names.ts";
import { InvalidValueError, NotSupportedError } from "../../shared/errors.ts";
import type { CloudCommandBody } from "../../shared/wire/cloud-command.ts";
import { renderControl } from "../../shared/wire/control-lines.ts";
import type { Operation, OperationContext } from "../operation.ts";

/** Runs one of a cloud's own commands, such as `login`, for a client that streams what it says. */
export const cloudCommandOperation: Operation<CloudCommandBody, unknown> = {
  name: "check.cloud_command",
  wireName: "cloud_command",
  schedule: "long",
  isResumable: false,
  run: runCloudCommand,
};

async function runCloudCommand(body: CloudCommandBody, context: OperationContext): Promise<unknown> {
  if (!context.clouds.names().includes(body.cloud)) {
    throw new InvalidValueError(`Cloud '${body.cloud}' is not available in this version.`);
  }
  const cloud = await context.clouds.load(body.cloud);
  const command = Object.hasOwn(cloud.commands ?? {}, body.command) ? cloud.commands?.[body.command] : undefined;
  if (command === undefined) {
    throw new NotSupportedError(`${displayCloud(body.cloud)} has no command '${body.command}'.`);
  }
  return command.run(body.args, {
    workspace: context.caller.workspace,
    config: context.config,
    env: context.clientEnv,
    isLocalClient: context.isLocalClient ?? false,
    signal: context.signal,
    say: (line) => context.log.line(line),
    openUrl: (url) => context.log.line(renderControl({ kind: "open_url", message: url }).trimEnd()),
  });
}
