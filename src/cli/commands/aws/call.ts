import { runCloudCommand } from "../../../client/cloud-command.ts";
import type { SkyClient } from "../../../client/sky-client.ts";
import { NotSupportedError } from "../../../shared/errors.ts";
import { openBrowser } from "../../browser.ts";
import type { Context } from "../../context.ts";
import { follow } from "../../follow.ts";

/** Opens the client for commands whose credentials and browser must be on the server's machine. Throws NotSupportedError. */
export async function openLocalClient(
  ctx: Context,
  options: { readonly config?: readonly string[] | undefined },
): Promise<SkyClient> {
  const client = await ctx.openClient({ config: options.config });
  if (!client.endpoint.local) {
    throw new NotSupportedError(
      `The AWS credentials of the API server at ${client.endpoint.url} are on its machine, and a login here would not reach it.`,
      { hint: `run this on the server's machine: sky ${ctx.commandLine}` },
    );
  }
  return client;
}

/** Runs one of AWS's own commands, shows what it says and opens the pages that it names. */
export async function callAws(
  ctx: Context,
  client: SkyClient,
  call: { readonly command: string; readonly args: Readonly<Record<string, unknown>>; readonly noBrowser: boolean },
): Promise<Readonly<Record<string, unknown>>> {
  const request = runCloudCommand(client, {
    cloud: "aws",
    command: call.command,
    args: { ...call.args, no_browser: call.noBrowser },
    signal: ctx.signal,
    // Nobody is left to finish a login after Ctrl-C.
    abortBehavior: "cancel",
  });
  const answer = await follow(ctx, request, {
    openPage: (url) => {
      if (!call.noBrowser) openBrowser(url, ctx);
    },
  });
  return typeof answer === "object" && answer !== null ? (answer as Readonly<Record<string, unknown>>) : {};
}
