import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import { OperationFailedError } from "../shared/errors.ts";

/**
 * The bearer token that clients of a listener beyond loopback must send: `given` (SKYPILOT_SERVER_TOKEN), else the one in the
 * file, which is made (0600) on first use. It has the form of a service account token, so that official clients can send it.
 */
export function loadToken(path: string, given?: string): string {
  if (given !== undefined && given !== "") {
    if (!/^sky_.{16,}$/.test(given)) {
      throw new OperationFailedError("SKYPILOT_SERVER_TOKEN is not usable.", {
        hint: 'It must begin with "sky_" and have at least 16 more characters.',
      });
    }
    return given;
  }
  try {
    const saved = readFileSync(path, "utf8").trim();
    if (saved.startsWith("sky_")) return saved;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const token = `sky_${randomBytes(32).toString("base64url")}`;
  writeFileAtomic(path, `${token}\n`, { mode: 0o600, directoryMode: 0o700 });
  return token;
}
