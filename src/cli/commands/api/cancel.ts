import { UsageError } from "../../../shared/errors.ts";
import { AbortedError, type Context } from "../../context.ts";
import { waitFor } from "../../follow.ts";
import type { Input } from "../../parser/spec.ts";
import type { apiCancelSpec } from "../../specs/api.ts";

/** `sky api cancel`: requests by id, all of the user's, or everybody's. */
export async function runApiCancel({ args, options }: Input<typeof apiCancelSpec>, ctx: Context): Promise<void> {
  const everything = options.all || options.allUsers;
  if (!everything && args.requestIds.length === 0) {
    throw new UsageError("Either --all, --all-users, or at least one request ID must be provided.");
  }
  if (everything && args.requestIds.length > 0) {
    throw new UsageError("Request IDs cannot be combined with --all or --all-users.");
  }
  if (everything && !options.yes) await confirmAll(options.allUsers, ctx);
  const client = await ctx.openClient({ config: options.config });
  const ids = await waitFor(
    ctx,
    client.api.cancel({
      ...(everything ? {} : { ids: args.requestIds }),
      allUsers: options.allUsers,
      signal: ctx.signal,
    }),
  );
  const [first] = ids;
  if (first === undefined) ctx.out.write("No requests need to be cancelled.\n");
  else if (ids.length === 1) ctx.out.write(`Cancelled 1 request: ${first}\n`);
  else ctx.out.write(`Cancelled ${ids.length} requests.\n`);
}

const PASSWORD = "cancel all requests";

async function confirmAll(allUsers: boolean, ctx: Context): Promise<void> {
  const whose = allUsers ? "ALL USERS'" : "YOUR";
  ctx.err.write(`This will cancel all ${whose} requests.\n`);
  const answer = await ctx.ask(`To proceed, please type '${PASSWORD}': `);
  if (answer !== PASSWORD) throw new AbortedError("The answer was something else.");
}
