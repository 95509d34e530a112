import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import {
  LINKED_FOLDER,
  leadsIntoCluster,
  leadsIntoNode,
  noteOutsideLink,
  targetOf,
} from "../../platform/outside-links.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { temporaryName } from "./file-tree.ts";

const REMOVE = "Remove it on the node, or mount to another path.";

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
  return { path: join(home, LINKED_FOLDER, path), link: path };
}

function insideOf(base: string, relative: string, shown: string): string {
  const path = join(base, relative).replace(/(?<=.)\/+$/, "");
  if (path !== base && !path.startsWith(`${base}/`)) {
    throw new AgentPeerError("BAD_PARAMS", `The destination ${shown} leads out of ${base}.`);
  }
  return path;
}

/**
 * Refuses a place that holds something real or somebody else's link, before anything is copied. Where the caller does not know the HOME, links of
 * any cluster pass: `makeLink` refuses them. Throws PATH_EXISTS.
 */
export function assertLinkable(link: string, home?: string): void {
  for (let end = link.indexOf("/", 1); end !== -1; end = link.indexOf("/", end + 1)) {
    // Behind an administrator's link there may be folders for all. Behind that of a cluster are its files, or its bucket.
    const folder = link.slice(0, end);
    const target = targetOf(folder);
    if (target !== undefined && leadsIntoNode(target) && !mayReplace(target, home)) throw isLink(folder, target);
  }
  const stats = lstatSync(link, { throwIfNoEntry: false });
  if (stats === undefined) return;
  const target = targetOf(link);
  if (target === undefined) {
    throw new AgentPeerError("PATH_EXISTS", `!!! Failed mounting because path exists (${link})`, { hint: REMOVE });
  }
  if (!mayReplace(target, home)) throw isLink(link, target);
}

/** What this cluster made, or one that is gone has left: what leads elsewhere somebody else needs. */
function mayReplace(target: string, home: string | undefined): boolean {
  if (!leadsIntoNode(target)) return false;
  return home === undefined || leadsIntoCluster(target, home) || isGone(target);
}

/** Looks into the folder: what is asked of the place itself a mount that hangs would not answer. */
function isGone(path: string): boolean {
  try {
    return !readdirSync(dirname(path)).includes(basename(path));
  } catch (error) {
    // Another user's HOME, which may not be looked into, is there.
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR";
  }
}

function isLink(link: string, target: string): AgentPeerError {
  const message = `!!! Failed mounting because path exists (${link}): it is a link to ${target}`;
  const another =
    "Another cluster on this machine has it: mount to another path, or end that cluster first (sky down).";
  return new AgentPeerError("PATH_EXISTS", message, { hint: leadsIntoNode(target) ? another : REMOVE });
}

/** Makes `link` a symbolic link to `path`, its parents included. Throws PATH_EXISTS, and NOT_ALLOWED without the right to. */
export function makeLink(link: string, path: string, options: DestinationOptions): void {
  assertLinkable(link, options.home);
  // It lies on a machine that may outlive the node; whoever ends that removes it.
  noteOutsideLink(options.home, link);
  if (targetOf(link) === path) return;
  try {
    mkdirSync(dirname(link), { recursive: true });
    placeLink(link, path, options.home);
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

/** Jobs of the cluster's other nodes on this machine may read by the link that is replaced: it is never missing. */
function placeLink(link: string, path: string, home: string): void {
  try {
    symlinkSync(path, link);
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  // Another cluster may have been faster.
  assertLinkable(link, home);
  const temporary = temporaryName(link);
  try {
    symlinkSync(path, temporary);
    renameSync(temporary, link);
  } finally {
    rmSync(temporary, { force: true });
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
