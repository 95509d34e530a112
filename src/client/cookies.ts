import { readFileSync } from "node:fs";
import { readVariable, type Env } from "../platform/env.ts";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import { expandHome, skyPaths } from "../platform/paths.ts";

interface Cookie {
  readonly domain: string;
  readonly path: string;
  readonly secure: boolean;
  /** Epoch seconds; 0 ends with the session. */
  readonly expires: number;
  readonly name: string;
  readonly value: string;
}

/** Where the cookies of an auth proxy are kept (Mozilla's text format). */
export function cookieFile(env: Env, home: string): string {
  const given = readVariable(env, "SKYPILOT_API_COOKIE_FILE");
  return given === undefined ? skyPaths(home).cookies : expandHome(given, home);
}

/** The `Cookie` header for a URL; undefined when no cookie fits. */
export function loadCookieHeader(path: string, url: URL, nowMs: number): string | undefined {
  const fitting = readCookies(path).filter((cookie) => fits(cookie, url, nowMs));
  if (fitting.length === 0) return undefined;
  return fitting.map((cookie) => `${cookie.name}=${cookie.value}`).join("; ");
}

function readCookies(path: string): readonly Cookie[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").flatMap(parseLine);
}

function parseLine(line: string): Cookie[] {
  const text = line.startsWith("#HttpOnly_") ? line.slice("#HttpOnly_".length) : line;
  if (text.startsWith("#")) return [];
  const [domain, , path, secure, expires, name, value] = text.trim().split("\t");
  if (domain === undefined || path === undefined || name === undefined || value === undefined) return [];
  return [{ domain, path, secure: secure === "TRUE", expires: Number(expires), name, value }];
}

function fits(cookie: Cookie, url: URL, nowMs: number): boolean {
  const domain = cookie.domain.replace(/^\./, "");
  const host = url.hostname;
  if (host !== domain && !host.endsWith(`.${domain}`)) return false;
  if (cookie.secure && url.protocol !== "https:") return false;
  if (!`${url.pathname}/`.startsWith(cookie.path)) return false;
  return cookie.expires === 0 || cookie.expires * 1000 > nowMs;
}

const WEEK_SECONDS = 7 * 24 * 3600;

/** Saves the cookies that a login handed over, for the host and a week. */
export function saveCookies(path: string, url: URL, cookies: Readonly<Record<string, string>>, nowMs: number): void {
  const expires = Math.floor(nowMs / 1000) + WEEK_SECONDS;
  const secure = url.protocol === "https:" ? "TRUE" : "FALSE";
  const lines = Object.entries(cookies).map(
    ([name, value]) => `.${url.hostname}\tTRUE\t/\t${secure}\t${expires}\t${name}\t${value}`,
  );
  writeFileAtomic(path, `# Netscape HTTP Cookie File\n${lines.join("\n")}\n`, { mode: 0o600 });
}
