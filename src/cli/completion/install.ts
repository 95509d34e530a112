import type { Machine } from "../context.ts";
export async function installCompletion(_shell: string, _machine: Machine): Promise<number> {
  return 1;
}
export async function uninstallCompletion(_shell: string, _machine: Machine): Promise<number> {
  return 1;
}
