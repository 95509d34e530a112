import type { OperationContext } from "../operation.ts";
import { hasForeignName } from "./walk.ts";

/** Tells of what `walkTree` leaves out: in the log, and the user where it is a file that was certainly meant to come along. */
export function tellLeftOut(
  log: { write(line: string): void },
  context: Pick<OperationContext, "log">,
): (path: string) => void {
  return (path) => {
    if (!hasForeignName(path)) {
      log.write(`Left out ${path}: neither file, directory nor link.`);
      return;
    }
    const text = `Left out ${path}: its name is not UTF-8.`;
    log.write(text);
    context.log.line(`WARNING: ${text} Rename it to have it sent.`);
  };
}
