import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a program that plays the user's browser: it follows redirects and shows nothing. Gives its path, for BROWSER. */
export function writeBrowser(directory: string): string {
  const path = join(directory, "browser");
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" -e 'fetch(process.argv[1])' "$1"\n`);
  chmodSync(path, 0o755);
  return path;
}
