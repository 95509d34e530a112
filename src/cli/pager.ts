import { spawnSync } from "node:child_process";
import type { Context } from "./context.ts";

/** Shows a long text page by page on a terminal, with $PAGER or less; elsewhere, or without a pager, it is just written. */
export async function page(ctx: Context, text: string): Promise<void> {
  if (ctx.out.isTTY && showInPager(ctx, text)) return;
  if (!ctx.out.write(text)) await ctx.out.drained();
}

/** Whether a pager has taken the text. */
function showInPager({ env }: Context, text: string): boolean {
  const [program = "less", ...args] = (env["PAGER"] ?? "less -FRX").split(/\s+/).filter((word) => word !== "");
  const { error } = spawnSync(program, args, { input: text, stdio: ["pipe", "inherit", "inherit"], env });
  // Leaving the pager before the end breaks the pipe, which is no error.
  return error === undefined || (error as NodeJS.ErrnoException).code === "EPIPE";
}
