import { readFileSync } from "node:fs";
import { writeFileAtomic } from "./atomic-file.ts";
import { readVariable, type Env } from "./env.ts";
import { hostName, loginName, skyPaths } from "./paths.ts";
import { loadCrypto } from "./random.ts";

const VALID = /^[a-zA-Z0-9][a-zA-Z0-9-]*$/;

/** The stable id of this user on this machine: from the environment, else `~/.sky/user_hash`, which is made on first use. */
export function loadUserHash(env: Env, home: string): string {
  const given = readVariable(env, "SKYPILOT_USER_ID");
  if (given !== undefined && VALID.test(given)) return given;
  const path = skyPaths(home).userHash;
  const saved = readSaved(path);
  if (saved !== undefined) return saved;
  const hash = makeUserHash(loginName(env), hostName());
  writeFileAtomic(path, hash);
  return hash;
}

function readSaved(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return VALID.test(text) ? text : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** First 8 hex digits of md5(`<user>-<first 4 hex of md5(user + host)>`). */
export function makeUserHash(user: string, host: string): string {
  const suffix = md5(user + host).slice(0, 4);
  return md5(`${user}-${suffix}`).slice(0, 8);
}

function md5(text: string): string {
  return loadCrypto().createHash("md5").update(text).digest("hex");
}
