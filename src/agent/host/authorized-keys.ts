import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";

/** Lets the keys log in until `removeKeys`. The user's own lines stay as they are. */
export function addKeys(home: string, nameOnCloud: string, keys: readonly string[]): void {
  edit(
    home,
    nameOnCloud,
    keys.map((key) => `${key} ${tagOf(nameOnCloud)}`),
  );
}

export function removeKeys(home: string, nameOnCloud: string): void {
  edit(home, nameOnCloud, []);
}

function tagOf(nameOnCloud: string): string {
  return `sky-cluster:${nameOnCloud}`;
}

function edit(home: string, nameOnCloud: string, wanted: readonly string[]): void {
  const path = join(home, ".ssh", "authorized_keys");
  const before = readIfThere(path);
  const lines = (before ?? "").split("\n").filter((line) => line !== "");
  const kept = lines.filter((line) => !line.endsWith(` ${tagOf(nameOnCloud)}`));
  const after = [...kept, ...wanted].join("\n");
  const text = after === "" ? "" : `${after}\n`;
  if (text === (before ?? "")) return;
  try {
    mkdirSync(join(home, ".ssh"), { recursive: true, mode: 0o700 });
    writeFileAtomic(path, text, { mode: before === undefined ? 0o600 : statSync(path).mode & 0o777 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A HOME that is read-only, or where somebody else decides who logs in: the pool's own key still does.
    if (code !== "EROFS" && code !== "EACCES" && code !== "EPERM") throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EACCES") return undefined;
    throw error;
  }
}
