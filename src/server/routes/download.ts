import { randomUUID } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { basename, join, relative, resolve, sep } from "node:path";
import type { Hono } from "hono";
import { expandHome } from "../../platform/paths.ts";
import { InvalidValueError, SkyError } from "../../shared/errors.ts";
import { DownloadBody } from "../../shared/wire/download.ts";
import { HEADER } from "../../shared/wire/headers.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { toByteStream } from "../streams/byte-stream.ts";
import { writeZip, type ZipSource } from "../uploads/zip-writer.ts";
import { parseInput } from "../validation.ts";

class FolderNotFoundError extends SkyError {
  readonly code = "FOLDER_NOT_FOUND";
  override readonly wireName = "FileNotFoundError";
  override readonly status = 404;
}

/** `POST /download`: a zip of folders that `download_logs` collected for this user. */
export function addDownload(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.post("/download", async (c) => {
    const body = parseInput(DownloadBody, await readJson(c.req.raw, c.env?.incoming), { where: "body" });
    const { userId } = await deps.users.identify(body.env_vars);
    const isByItem = c.req.query("relative") === "items";
    const sources = body.folder_paths.map((given): ZipSource => {
      const path = locateFolder(given, { deps, userId });
      return { path, name: isByItem ? basename(path) : path.replace(/^\/+/, "") };
    });
    const stream = toByteStream(() => writeZip(sources), {
      onError: (error) => deps.onInternalError(error, c.get("requestId")),
    });
    return new Response(stream, {
      headers: {
        "content-type": "application/zip",
        "content-disposition": `attachment; filename="folder_${randomUUID().replaceAll("-", "")}.zip"`,
        [HEADER.homePath]: deps.paths.home,
      },
    });
  });
}

/** Only what lies below the user's own directory may leave. Throws InvalidValueError and FolderNotFoundError. */
function locateFolder(given: string, options: { readonly deps: AppDependencies; readonly userId: string }): string {
  const { paths } = options.deps;
  const own = join(paths.clients, options.userId);
  const path = resolve(paths.home, expandHome(given, paths.home));
  if (!isBelow(own, path))
    throw new InvalidValueError(`Invalid folder path: ${given}; it is not in your log directory.`);
  if (!existsSync(path)) throw new FolderNotFoundError(`Folder not found: ${given}`);
  if (!isBelow(realpathSync(own), realpathSync(path))) throw new InvalidValueError(`Invalid folder path: ${given}`);
  return path;
}

function isBelow(root: string, path: string): boolean {
  const rest = relative(root, path);
  return rest !== "" && rest !== ".." && !rest.startsWith(`..${sep}`);
}
