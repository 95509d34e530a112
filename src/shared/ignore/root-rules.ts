import { enterDirectory, isIgnored, noIgnoreRules, type IgnoreStack } from "./ignore.ts";

/** A file whose text is asked for. The answer is undefined when there is no such file. */
export interface FileQuestion {
  readonly path: string;
  /** It only tells whether here is a repository: one that may not be read is none for us, as for git. */
  readonly isProbe: boolean;
}

/** Which ignore files count in a tree. */
export interface RootRules {
  /** Name of the ignore file looked for in every directory. */
  readonly fileName: ".skyignore" | ".gitignore";
  /** What applies before the root's own file is read. */
  readonly stack: IgnoreStack;
}

type Search<T> = Generator<FileQuestion, T, string | undefined>;

interface Repository {
  readonly top: string;
  /** Its `info/exclude`. */
  readonly exclude: string | undefined;
}

/**
 * Finds what counts in the tree at `root`, an absolute path without symbolic links: its `.skyignore` alone; else git's files, those of the
 * repository around the root included, as far up as `ceiling`. Reads nothing itself but asks, so that callers that wait and callers
 * that block share it.
 */
export function* findRootRules(root: string, ceiling: string): Search<RootRules> {
  const start = root === "/" ? "" : root;
  if ((yield* read(`${start}/.skyignore`)) !== undefined) return { fileName: ".skyignore", stack: noIgnoreRules };
  const repository = yield* findRepository(start, ceiling);
  const stack = repository === undefined ? noIgnoreRules : yield* rulesAround(start, repository);
  return { fileName: ".gitignore", stack };
}

/** Whether the error of reading a file means that there is none. */
export function isNoFile(error: unknown, isProbe: boolean): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EACCES" || code === "EPERM") return isProbe;
  return code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR";
}

function* read(path: string): Search<string | undefined> {
  return yield { path, isProbe: false };
}

function* probe(path: string): Search<string | undefined> {
  return yield { path, isProbe: true };
}

/** The nearest repository at or above `directory`. A `.git` without HEAD is none, and git looks further up too. */
function* findRepository(directory: string, ceiling: string): Search<Repository | undefined> {
  let top = directory;
  while (isWithin(top, ceiling)) {
    const git = `${top}/.git`;
    if ((yield* probe(`${git}/HEAD`)) !== undefined) return { top, exclude: `${git}/info/exclude` };
    // Of a worktree, or of a submodule.
    const text = yield* probe(git);
    const link = text === undefined ? undefined : /^gitdir: (.+)/.exec(text)?.[1]?.trimEnd();
    // In an upload it may name any place of this machine.
    if (link !== undefined)
      return { top, exclude: ceiling === "/" ? yield* excludeOf(resolveFrom(top, link)) : undefined };
    if (top === "") return undefined;
    top = top.slice(0, top.lastIndexOf("/"));
  }
  return undefined;
}

/** Worktrees share the file of their main repository. */
function* excludeOf(git: string): Search<string> {
  const common = (yield* read(`${git}/commondir`))?.trimEnd();
  return `${common === undefined ? git : resolveFrom(git, common)}/info/exclude`;
}

function* rulesAround(root: string, { top, exclude }: Repository): Search<IgnoreStack> {
  const base = root.slice(top.length + 1);
  let stack = enterDirectory(noIgnoreRules, "", exclude === undefined ? undefined : yield* read(exclude));
  let path = "";
  for (const name of base.split("/").filter(Boolean)) {
    stack = enterDirectory(stack, path, yield* read(`${top}/${path === "" ? "" : `${path}/`}.gitignore`));
    path = path === "" ? name : `${path}/${name}`;
    // Who names a directory that git ignores means it all the same; what is said around it would leave out everything.
    if (isIgnored(stack, path, true)) return noIgnoreRules;
  }
  return { ...stack, base };
}

function isWithin(path: string, ceiling: string): boolean {
  return ceiling === "/" || path === ceiling || path.startsWith(`${ceiling}/`);
}

function resolveFrom(directory: string, path: string): string {
  return path.startsWith("/") ? path : `${directory}/${path}`;
}
