import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, symlinkSync, unlinkSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { noteOutsideLink } from "../../platform/outside-links.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";

/** Where a sync's files go, and the path that has to lead there. */
export interface Destination {
  readonly path: string;
  /** A place outside HOME and /tmp that becomes a symbolic link to `path`. */
  readonly link?: string;
}

export interface DestinationOptions {
  readonly home: string;
  /** Whether what the user may not do outside HOME may be done with `sudo -n`. */
  readonly mayUseSudo: boolean;
}

/** Maps a destination of a task file to a path on this node. Throws BAD_PARAMS when it leads out of HOME by `..`. */
export function resolveDestination(dest: string, home: string): Destination {
  if (dest === "" || dest.includes("\0")) throw new AgentPeerError("BAD_PARAMS", "The destination is empty.");
  if (dest === "~" || dest.startsWith("~/")) return { path: insideOf(home, dest.slice(2), dest) };
  if (!dest.startsWith("/")) return { path: insideOf(join(home, "sky_workdir"), dest, dest) };
  const path = normalize(dest).replace(/(?<=.)\/+$/, "");
  if (path === "/") throw new AgentPeerError("BAD_PARAMS", "The destination cannot be /.");
  if (path.startsWith("/tmp/") || path === home || path.startsWith(`${home}/`)) return { path };
  return { path: join(home, ".sky", "file_mounts", path), link: path };
}

function insideOf(base: string, relative: string, shown: string): string {
  const path = join(base, relative).replace(/(?<=.)\/+$/, "");
  if (path !== base && !path.startsWith(`${base}/`)) {
    throw new AgentPeerError("BAD_PARAMS", `The destination ${shown} leads out of ${base}.`);
  }
  return path;
}

/** Refuses a place that holds something real, before anything is copied. Throws PATH_EXISTS. */
export function assertLinkable(link: string): void {
  const stats = lstatSync(link, { throwIfNoEntry: false });
  if (stats === undefined || stats.isSymbolicLink()) return;
  throw new AgentPeerError("PATH_EXISTS", `!!! Failed mounting because path exists (${link})`, {
    hint: "Remove it on the node, or mount to another path.",
  });
}

/** Makes `link` a symbolic link to `path`, its parents included. Throws PATH_EXISTS, and NOT_ALLOWED without the right to. */
export function makeLink(link: string, path: string, options: DestinationOptions): void {
  assertLinkable(link);
  // It lies on a machine that may outlive the node; whoever ends that removes it.
  noteOutsideLink(options.home, link);
  try {
    mkdirSync(dirname(link), { recursive: true });
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) unlinkSync(link);
    symlinkSync(path, link);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") throw error;
    if (options.mayUseSudo) {
      linkAsRoot(link, path);
      return;
    }
    throw new AgentPeerError("NOT_ALLOWED", `This user may not make ${link} on the node.`, {
      cause: error,
      hint: "Mount below ~ or /tmp instead.",
    });
  }
}

function linkAsRoot(link: string, path: string): void {
  const uid = String(process.getuid?.() ?? 0);
  const run = (...command: readonly string[]): void => {
    execFileSync("sudo", ["-n", ...command], { stdio: ["ignore", "ignore", "pipe"], timeout: 30_000 });
  };
  try {
    run("mkdir", "-p", dirname(link));
    run("ln", "-sfn", path, link);
    run("chown", "-h", uid, link);
  } catch (error) {
    throw new AgentPeerError(
      "NOT_ALLOWED",
      `This user may not make ${link} on the node, nor may sudo without a password.`,
      {
        cause: error,
        hint: "Mount below ~ or /tmp instead.",
      },
    );
  }
}
