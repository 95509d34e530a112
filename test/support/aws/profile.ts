import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Lets programs with that home find an AWS at `url`, as the owner of moto's account. */
export function writeProfile(home: string, url: string): void {
  const directory = join(home, ".aws");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, "config"), `[default]\nregion = us-east-1\nendpoint_url = ${url}\n`);
  const keys = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n";
  writeFileSync(join(directory, "credentials"), keys, { mode: 0o600 });
}
