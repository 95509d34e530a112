import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";

/** What links outside of a node's HOME lead to lies here in it. */
export const LINKED_FOLDER = ".sky/file_mounts";
/** HOMEs of a `local` cluster's nodes, which share a machine. */
const LOCAL_HOME = /^(?<cluster>.*\/\.sky\/local\/[^/]+)\/node\d+\/home$/u;
const LOCAL_TARGET = /^\/node\d+\/home\/\.sky\/file_mounts\//u;

/** Beside what the links lead to, one JSON document a line. */
const LIST = ".sky/outside-links";

interface OutsideLink {
  readonly link: string;
  /** The topmost folder that was made for it. */
  readonly folder?: string;
}

/** Notes, before it is made, that a link outside of a node's HOME will lead into it. */
export function noteOutsideLink(home: string, link: string): void {
  const folder = topmostMissing(dirname(link));
  const list = join(home, LIST);
  const known = readLinks(list).find((one) => one.link === link);
  if (known !== undefined && (folder === undefined || known.folder !== undefined)) return;
  mkdirSync(dirname(list), { recursive: true });
  const line: OutsideLink = folder === undefined ? { link } : { link, folder };
  appendFileSync(list, `${JSON.stringify(line)}\n`, { mode: 0o600 });
}

/**
 * Removes the links that still lead into one of the HOMEs, and the folders made for them that are empty. What may not be removed stays. Nodes
 * that share a machine end together: one may have made the folder, and another one the link that is in it now.
 */
export function removeOutsideLinks(...homes: readonly string[]): void {
  const links = homes.flatMap((home) => readLinks(join(home, LIST)));
  for (const { link } of links) {
    const target = targetOf(link);
    // A HOME may hold those of other clusters' nodes.
    if (target !== undefined && homes.some((home) => leadsInto(target, home))) tryTo(() => unlinkSync(link));
  }
  for (const { link, folder } of links) {
    if (folder === undefined) continue;
    for (let path = dirname(link); path === folder || path.startsWith(`${folder}/`); path = dirname(path)) {
      if (!tryTo(() => rmdirSync(path))) break;
    }
  }
}

/** Whether a link leads to files that some node keeps for it. */
export function leadsIntoNode(target: string): boolean {
  return target.includes(`/${LINKED_FOLDER}/`);
}

/** Whether a link leads to what a node with this HOME keeps for it, or another node of its cluster on the same machine. */
export function leadsIntoCluster(target: string, home: string): boolean {
  if (leadsInto(target, home)) return true;
  const cluster = LOCAL_HOME.exec(home)?.groups?.["cluster"];
  return cluster !== undefined && target.startsWith(cluster) && LOCAL_TARGET.test(target.slice(cluster.length));
}

function leadsInto(target: string, home: string): boolean {
  return target.startsWith(`${home}/${LINKED_FOLDER}/`);
}

/** Where a symbolic link leads; undefined when there is none. */
export function targetOf(link: string): string | undefined {
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
  return resolve(dirname(link), readlinkSync(link));
}

function topmostMissing(folder: string): string | undefined {
  let missing: string | undefined;
  for (let path = folder; !existsSync(path); path = dirname(path)) missing = path;
  return missing;
}

function readLinks(list: string): OutsideLink[] {
  if (!existsSync(list)) return [];
  return readFileSync(list, "utf8").split("\n").flatMap(parse);
}

/** A line that a crash cut off says nothing. */
function parse(line: string): OutsideLink[] {
  try {
    const { link, folder } = JSON.parse(line) as { readonly link?: unknown; readonly folder?: unknown };
    if (typeof link !== "string") return [];
    return [typeof folder === "string" ? { link, folder } : { link }];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** False when the system refuses, e.g. because a folder is not empty or another user's. */
function tryTo(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}
