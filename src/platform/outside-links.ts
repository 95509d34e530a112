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
import { dirname, join } from "node:path";

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

/** Removes the links that still lead into the HOME, and the folders made for them that are empty. What may not be removed stays. */
export function removeOutsideLinks(home: string): void {
  for (const { link, folder } of readLinks(join(home, LIST))) {
    if (targetOf(link)?.startsWith(`${home}/.sky/`) === true) tryTo(() => unlinkSync(link));
    if (folder === undefined) continue;
    for (let path = dirname(link); path === folder || path.startsWith(`${folder}/`); path = dirname(path)) {
      if (!tryTo(() => rmdirSync(path))) break;
    }
  }
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

function targetOf(link: string): string | undefined {
  return lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(link) : undefined;
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
