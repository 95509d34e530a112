import type { Machine } from "../context.ts";
export async function runCompletion(_mode: string, _machine: Machine): Promise<number> {
  return 0;
}
