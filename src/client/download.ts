import type { SkyClient } from "./sky-client.ts";

/** placeholder replaced below */
export async function downloadFolders(
  _client: SkyClient,
  _options: { folders: readonly string[]; directory: string; signal?: AbortSignal | undefined },
): Promise<ReadonlyMap<string, string>> {
  throw new Error("not yet");
}
