import { lstat } from "node:fs/promises";
import * as messages from "../clusters/messages.ts";
import type { OperationContext } from "../operation.ts";

/** Says of a source that it is a link itself: unlike links in a source it is followed. `shown` is what the user calls it. */
export async function tellLink(
  source: { readonly shown: string; readonly path: string },
  { log, context }: { readonly log: { write(line: string): void }; readonly context: Pick<OperationContext, "log"> },
): Promise<void> {
  const stats = await lstat(source.path).catch(() => undefined);
  if (stats?.isSymbolicLink() !== true) return;
  const text = `${source.shown} is a symlink. Its target's content is uploaded.`;
  log.write(text);
  context.log.line(messages.yellow(text));
}
