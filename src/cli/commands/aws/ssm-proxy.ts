import { carry } from "../../../session-manager/carry.ts";
import { DoorClient, type DoorPlace } from "../../../session-manager/door-client.ts";
import { UsageError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import type { Input } from "../../parser/spec.ts";
import type { awsSsmProxySpec } from "../../specs/aws-ssm.ts";
import { askCloud } from "./answer.ts";

type Options = Input<typeof awsSsmProxySpec>;

/**
 * `sky aws ssm-proxy`: what ssh runs to reach a node through Session Manager. ssh itself reads and writes this process's streams. The API
 * server, which has the credentials, starts the session; the bytes do not pass through it.
 */
export async function runAwsSsmProxy({ args, options }: Options, ctx: Context): Promise<void> {
  const place = await findDoor({ args, options }, ctx);
  const sessions = new DoorClient(place);
  try {
    await carry({
      sessions,
      target: place.instance,
      input: process.stdin,
      output: process.stdout,
      notice: (text) => void ctx.err.write(`${text.trimEnd()}\n`),
      env: ctx.env,
      clock: ctx.clock,
      signal: ctx.signal,
    });
  } finally {
    sessions.close();
  }
}

/** The API server names the door itself where it calls this command; for users it is asked. */
async function findDoor({ args, options }: Options, ctx: Context): Promise<DoorPlace> {
  const { region, door, cluster, config } = options;
  if (region === undefined) throw new UsageError("Missing option '--region'.");
  if (door !== undefined) return { door, region, instance: args.target };
  if (cluster === undefined) throw new UsageError("Missing option '--cluster'.");
  const client = await ctx.openClient({ config });
  const question = { cluster, region, target: args.target };
  const answer = await askCloud(ctx, client, { cloud: "aws", command: "ssm-door", args: question });
  return { door: String(answer["door"]), instance: String(answer["instance"]), region };
}
