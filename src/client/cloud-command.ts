import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

export interface CloudCommandCall extends WaitOptions {
  readonly cloud: string;
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Runs a command that only one cloud has, such as `login` of AWS. */
export function runCloudCommand(client: SkyClient, call: CloudCommandCall): Request<unknown> {
  const { cloud, command, args, ...wait } = call;
  const body = client.body({ cloud, command, args });
  return submit(client.session, "/cloud_command", body, { name: `sky.${cloud}.${command}`, ...wait });
}
