import type { Request } from "../client/request.ts";
import type { Context } from "./context.ts";
import { makeColors } from "./render/colors.ts";
import { StreamPrinter } from "./render/stream-printer.ts";

/** Prints a request's log as it comes and gives its result. Ctrl-C leaves the request running and says so. */
export async function follow<T>(
  ctx: Context,
  request: Request<T>,
  options: { /** Shows a page that the server names. */ readonly openPage?: (url: string) => void } = {},
): Promise<T> {
  return await detachable(ctx, request, async () => {
    const printer = new StreamPrinter(ctx);
    try {
      for await (const event of request.events()) {
        if (event.kind === "open-url") options.openPage?.(event.url);
        await printer.print(event);
      }
    } finally {
      printer.end();
    }
    return await request.result();
  });
}

/** Waits for a request without its log. */
export async function waitFor<T>(ctx: Context, request: Request<T>): Promise<T> {
  return await detachable(ctx, request, () => request.result());
}

/** Waits for a request; its log goes to stderr, so that stdout has the result alone. */
export async function waitAloud<T>(ctx: Context, request: Request<T>): Promise<T> {
  return await detachable(ctx, request, async () => {
    for await (const event of request.events()) {
      if (event.kind === "text") ctx.err.write(Buffer.from(event.bytes).toString());
    }
    return await request.result();
  });
}

async function detachable<T>(ctx: Context, request: Request<T>, wait: () => Promise<T>): Promise<T> {
  let id: string | undefined;
  try {
    id = await request.id;
    return await wait();
  } catch (error) {
    if (ctx.signal.aborted && id !== undefined) ctx.err.write(detachHint(ctx, id));
    throw error;
  }
}

function detachHint(ctx: Context, id: string): string {
  const { dim } = makeColors(ctx.env, ctx.err.isTTY);
  const short = id.slice(0, 8);
  return [
    "\n⚙︎ Request will continue running asynchronously.",
    `${dim("├──")} View logs: sky api logs ${short}`,
    `${dim("└──")} To cancel the request, run: sky api cancel ${short}`,
    "",
  ].join("\n");
}

/** What `--async` prints instead of waiting. */
export async function printSubmitted(ctx: Context, request: Request<unknown>): Promise<void> {
  const { dim } = makeColors(ctx.env, ctx.out.isTTY);
  const id = await request.id;
  const short = id.slice(0, 8);
  ctx.out.write(
    [
      `Submitted ${request.name} request: ${id}`,
      `${dim("├──")} Check logs with: sky api logs ${short}`,
      `${dim("└──")} To cancel the request, run: sky api cancel ${short}`,
      "",
      "",
    ].join("\n"),
  );
}

/** Follows a request, or with `--async` only says where to look. Gives undefined in that case. */
export async function followUnlessAsync<T>(
  ctx: Context,
  request: Request<T>,
  isAsync: boolean,
): Promise<T | undefined> {
  if (!isAsync) return await follow(ctx, request);
  await printSubmitted(ctx, request);
  return undefined;
}
