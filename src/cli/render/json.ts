import type { Output } from "../context.ts";

/** Prints a value as the programs that read it expect: indented by two, one final newline. */
export function printJson(out: Output, value: unknown): void {
  out.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
