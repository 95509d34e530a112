import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { unzip } from "../platform/unzip.ts";
import type { SkyClient } from "./sky-client.ts";

export interface DownloadFoldersOptions {
  /** Folders of the server; `~` is the server user's home. */
  readonly folders: readonly string[];
  /** Where they go on this machine. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
}

/** Downloads folders of the server; gives the local folder of each. */
export async function downloadFolders(
  client: SkyClient,
  options: DownloadFoldersOptions,
): Promise<ReadonlyMap<string, string>> {
  const temporary = await mkdtemp(join(tmpdir(), "sky-download-"));
  try {
    const answer = await client.session.call("POST", "/download", {
      json: client.body({ folder_paths: options.folders }),
      signal: options.signal,
    });
    const serverHome = answer.headers["x-home-path"];
    const archive = join(temporary, "download.zip");
    await pipeline(answer.body, createWriteStream(archive, { mode: 0o600 }));
    const prefixes = options.folders.map((folder) => ({
      // Entries are absolute paths of the server without the first slash.
      prefix: folder.replace(/^~/, typeof serverHome === "string" ? serverHome : "~").replace(/^\/+/, ""),
      place: localPart(folder),
    }));
    await unzip(archive, options.directory, {
      place: (name) => {
        const found = prefixes.find(({ prefix }) => name === prefix || name.startsWith(`${prefix}/`));
        return found === undefined ? undefined : `${found.place}${name.slice(found.prefix.length)}`;
      },
    });
    return new Map(options.folders.map((folder) => [folder, join(options.directory, localPart(folder))]));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** `.../sky_logs/c1/1-hello` becomes `c1/1-hello`. */
function localPart(folder: string): string {
  const marker = "/sky_logs/";
  const at = folder.lastIndexOf(marker);
  return at === -1 ? basename(folder) : folder.slice(at + marker.length);
}
