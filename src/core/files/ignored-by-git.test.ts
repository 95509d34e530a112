import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listUpload } from "../../client/upload-list.ts";
import { waitingAccess } from "./file-access.ts";
import { walkTree } from "./walk.ts";

let home: string;
let top: string;

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "ignored-")));
  top = join(home, "top");
  mkdirSync(top);
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

/** Without the settings of who runs the tests. */
function git(args: readonly string[], options: { readonly cwd?: string; readonly input?: string } = {}): string {
  const env = { PATH: process.env["PATH"], HOME: home, GIT_CONFIG_NOSYSTEM: "1" };
  return execFileSync("git", args, { cwd: top, env, encoding: "utf8", ...options });
}

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), content);
  }
}

/** Files that are sent of a directory, by a server to its nodes and by a client to its server, which have to agree. */
async function sent(source: string, ignoreFilesFrom = "/"): Promise<string[]> {
  const root = join(top, source);
  const synced: string[] = [];
  for await (const { kind, path } of walkTree(root, { ignoreFilesFrom })) if (kind === "file") synced.push(path);
  const files = listUpload([root]).filter(({ kind }) => kind === "file");
  if (ignoreFilesFrom === "/")
    expect(files.map(({ name }) => relative(root, `/${name}`)).toSorted()).toEqual(synced.toSorted());
  return synced.filter((path) => !/(?:^|\/)\.(?:git|skyignore)/.test(path)).toSorted();
}

/** Those of the paths that git ignores. */
function ignoredByGit(paths: readonly string[]): ReadonlySet<string> {
  try {
    return new Set(git(["check-ignore", "-z", "--stdin"], { input: paths.join("\0") }).split("\0"));
  } catch (error) {
    // That is how it says "none".
    if ((error as { status?: number }).status === 1) return new Set();
    throw error;
  }
}

describe("git's rules around a source", () => {
  test("count as those in it, each for its own directory", async () => {
    git(["init", "-q"]);
    write({
      ".gitignore": ".env\n*.pem\n/app/*.pt\n/other.txt\nbuild/\n!/app/keep.pem\n",
      ".git/info/exclude": "app/private\n",
      "app/.gitignore": "/only\n!again.pem\n",
      "app/src/.gitignore": "!.env\n",
    });
    const names = [".env", "a.pem", "m.pt", "other.txt", "private", "keep.pem", "only", "again.pem", "build/x"];
    write(Object.fromEntries(names.flatMap((name) => [`app/${name}`, `app/src/${name}`].map((path) => [path, ""]))));
    const inSrc = [".env", "again.pem", "m.pt", "only", "other.txt", "private"];
    expect(await sent("app/src")).toEqual(inSrc);
    const inApp = ["again.pem", "keep.pem", "other.txt", ...inSrc.map((name) => `src/${name}`)];
    expect(await sent("app")).toEqual(inApp);
    expect(await sent("")).toEqual(inApp.map((name) => `app/${name}`));
  });

  test("do not count beside a .skyignore in the source, nor above what a server was sent", async () => {
    git(["init", "-q"]);
    write({ ".gitignore": "*.pem\n", "app/a.pem": "", "app/b.txt": "", "app/sub/c.pem": "" });
    expect(await sent("app")).toEqual(["b.txt"]);
    expect(await sent("app/sub", top)).toEqual([]);
    expect(await sent("app/sub", join(top, "app"))).toEqual(["c.pem"]);
    write({ "app/.skyignore": "b.txt\n" });
    expect(await sent("app")).toEqual(["a.pem", "sub/c.pem"]);
  });

  test("do not count for a source that they ignore, whose own ones do", async () => {
    git(["init", "-q"]);
    write({ ".gitignore": "data/\n*.pt\n", "data/.gitignore": "*.tmp\n" });
    write({ "data/a.pt": "", "data/b.tmp": "", "data/sub/c.pt": "" });
    expect(await sent("data")).toEqual(["a.pt", "sub/c.pt"]);
    expect(await sent("data/sub")).toEqual(["c.pt"]);
    expect(await sent("")).toEqual([]);
    write({ ".gitignore": "/*\n!/data\n*.pt\n" });
    expect(await sent("data/sub")).toEqual([]);
  });

  test("are those of the nearest repository: a worktree, a submodule, one whose files lie elsewhere", async () => {
    git(["init", "-q"]);
    git(["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first"]);
    git(["worktree", "add", "-q", "trees/one"]);
    git(["init", "-q", "--separate-git-dir", "../elsewhere", "apart"]);
    mkdirSync(join(top, ".git/modules"));
    git(["init", "-q", "--separate-git-dir", ".git/modules/sub", "sub"]);
    write({ "sub/.git": "gitdir: ../.git/modules/sub\n", ".git/modules/sub/info/exclude": "of-sub\n" });
    write({ "../elsewhere/info/exclude": "of-apart\n", ".git/info/exclude": "of-top\n", ".gitignore": "everywhere\n" });
    // No repository, and passed over.
    mkdirSync(join(top, "plain/.git"), { recursive: true });
    const names = ["everywhere", "of-apart", "of-sub", "of-top"];
    const roots = ["trees/one", "apart", "sub", "plain"];
    const files = roots.flatMap((root) => names.map((name) => `${root}/app/${name}`));
    write(Object.fromEntries(files.map((path) => [path, ""])));
    expect(await sent("trees/one/app")).toEqual(["everywhere", "of-apart", "of-sub"]);
    expect(await sent("apart/app")).toEqual(["everywhere", "of-sub", "of-top"]);
    expect(await sent("sub/app")).toEqual(["everywhere", "of-apart", "of-top"]);
    expect(await sent("plain/app")).toEqual(["of-apart", "of-sub"]);
    for (const root of roots) {
      const inRoot = names.filter(
        (name) => git(["-C", join(root, "app"), "status", "--porcelain", "-uall", name]) !== "",
      );
      expect(await sent(`${root}/app`), root).toEqual(inRoot);
    }
    // The way out of an upload is not followed.
    expect(await sent("apart/app", join(top, "apart"))).toEqual(names);
  });

  test("are found by where a link leads", async () => {
    git(["init", "-q"]);
    write({
      ".gitignore": "*.pem\n",
      "app/a.pem": "",
      "app/b": "",
      "../link/.git/HEAD": "",
      "../link/.gitignore": "b\n",
    });
    symlinkSync("../top/app", join(home, "link/app"));
    expect(await sent("../link/app")).toEqual(["b"]);
  });

  test("that cannot be read stop everything; a repository that cannot be read is none", async () => {
    git(["init", "-q"]);
    write({ ".gitignore": "*.pem\n", "app/a.pem": "" });
    const sentWithout = async (unreadable: string): Promise<readonly string[]> => {
      const readFile = (path: string): Promise<Buffer> =>
        path.startsWith(join(top, unreadable))
          ? Promise.reject(Object.assign(new Error("permission denied"), { code: "EACCES" }))
          : waitingAccess.readFile(path);
      const access = { ...waitingAccess, readFile };
      const found: string[] = [];
      for await (const { path } of walkTree(join(top, "app"), { ignoreFilesFrom: "/", access })) found.push(path);
      return found;
    };
    await expect(sentWithout(".gitignore")).rejects.toThrow(`${top}/.gitignore cannot be read: permission denied.`);
    await expect(sentWithout(".git/info")).rejects.toThrow("cannot be read");
    expect(await sentWithout(".git/HEAD")).toEqual(["a.pem"]);
  });

  test("say what `git check-ignore` says", async () => {
    git(["init", "-q"]);
    const directories = ["", "a", "a/b", "a/b/a", "a/c", "b", "b/a"];
    const files = directories.flatMap((directory) => ["a.x", "b.x", "a.y", "c"].map((name) => join(directory, name)));
    // A directory stands where its name would be a file.
    const paths = files.filter((path) => path !== "a/c");
    write(Object.fromEntries(paths.map((path) => [path, ""])));
    const part = fc.constantFrom("a", "b", "c", "*", "**", "?", "a.x", "*.x", "[ab].?", "a*");
    const line = fc
      .tuple(
        fc.constantFrom("", "", "!"),
        fc.constantFrom("", "/"),
        fc.array(part, { minLength: 1, maxLength: 3 }),
        fc.constantFrom("", "", "/"),
      )
      .map(([not, start, parts, end]) => `${not}${start}${parts.join("/")}${end}`);
    const text = fc.array(line, { maxLength: 3 }).map((lines) => lines.join("\n"));
    const texts = fc.tuple(text, text, text, text);
    await fc.assert(
      fc.asyncProperty(texts, async ([ofTop, ofA, ofB, exclude]) => {
        write({ ".gitignore": ofTop, "a/.gitignore": ofA, "a/b/.gitignore": ofB, ".git/info/exclude": exclude });
        const ignored = ignoredByGit([...directories.filter(Boolean), ...paths]);
        for (const source of directories) {
          const inside = paths.filter((path) => source === "" || path.startsWith(`${source}/`));
          if (ignored.has(source)) continue;
          const kept = inside.filter((path) => !ignored.has(path)).map((path) => relative(source, path));
          expect(await sent(source), source).toEqual(kept.toSorted());
        }
      }),
      { numRuns: 60 },
    );
  });
});
