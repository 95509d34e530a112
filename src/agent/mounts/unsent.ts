import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Whether rclone's cache holds anything that was written and is not in the bucket: it says so of each file in one beside it. */
export async function hasUnsent(cacheDir: string): Promise<boolean> {
  return hasDirty(join(cacheDir, "vfsMeta"));
}

async function hasDirty(folder: string): Promise<boolean> {
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() ? await hasDirty(path) : await isDirty(path)) return true;
  }
  return false;
}

async function isDirty(path: string): Promise<boolean> {
  return /"Dirty":\s*true/u.test(await readFile(path, "utf8").catch(ifGone("")));
}

async function entriesOf(folder: string): Promise<readonly { readonly name: string; isDirectory(): boolean }[]> {
  return readdir(folder, { withFileTypes: true }).catch(ifGone([]));
}

/** Nothing was cached yet, or rclone has removed it since. What cannot be read for another reason may be unsent. */
function ifGone<T>(none: T): (error: unknown) => T {
  return (error) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return none;
    throw error;
  };
}
