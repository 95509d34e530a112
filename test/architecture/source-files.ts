import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const repoRoot = fileURLToPath(new URL("../..", import.meta.url));
const srcRoot = join(repoRoot, "src");

/** How an import reaches its target: erased types, at load time, or when the code asks for it. */
export type ImportKind = "type" | "static" | "dynamic";

export interface ImportEdge {
  readonly kind: ImportKind;
  /** As written between the quotes. */
  readonly specifier: string;
}

export interface SourceFile {
  /** Relative to src/, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly ImportEdge[];
}

const FROM = /^[ \t]*(?:import|export)\s+(type\s+)?([^;"'`]*?)\s*from\s*["']([^"']+)["']/gmu;
const BARE = /^[ \t]*import\s*["']([^"']+)["']/gmu;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']\s*\)/gu;
// A regular expression may hold `/*` only inside a class or escaped, so this cut is safe enough for sources that oxfmt has laid out.
const BLOCK_COMMENT = /^[ \t]*\/\*[\s\S]*?\*\//gmu;
const LINE_COMMENT = /^[ \t]*\/\/.*$/gmu;

function isTypeOnlyClause(clause: string): boolean {
  const braces = /^\{([\s\S]*)\}$/u.exec(clause.trim());
  if (braces === null) return false;
  const names = (braces[1] ?? "").split(",").filter((name) => name.trim() !== "");
  return names.length > 0 && names.every((name) => name.trim().startsWith("type "));
}

/** Finds every import and re-export of a source text. */
export function parseImports(source: string): ImportEdge[] {
  const text = source.replace(BLOCK_COMMENT, "").replace(LINE_COMMENT, "");
  const edges: ImportEdge[] = [];
  for (const match of text.matchAll(FROM)) {
    const isType = match[1] !== undefined || isTypeOnlyClause(match[2] ?? "");
    edges.push({ kind: isType ? "type" : "static", specifier: match[3] ?? "" });
  }
  for (const match of text.matchAll(BARE)) edges.push({ kind: "static", specifier: match[1] ?? "" });
  for (const match of text.matchAll(DYNAMIC)) {
    const before = text.slice(0, match.index).trimEnd();
    // `import("x").Type` in a type position is erased; it follows `:`, `<`, `=` of a type alias or `typeof`.
    const isType = /(?:typeof|[:<|&])$/u.test(before) && /^\s*\./u.test(text.slice(match.index + match[0].length));
    edges.push({ kind: isType ? "type" : "dynamic", specifier: match[1] ?? "" });
  }
  return edges;
}

/** Resolves a relative specifier to a path under src/; undefined when it leaves src/. */
export function resolveImport(from: string, specifier: string): string | undefined {
  const path = relative(srcRoot, resolve(dirname(join(srcRoot, from)), specifier)).replaceAll("\\", "/");
  return path.startsWith("..") ? undefined : path;
}

/** The npm package of a bare specifier: `a/b` → `a`, `@s/a/b` → `@s/a`. */
export function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

/** Every product source under src/, without the tests beside them. */
export function loadSources(): SourceFile[] {
  return readdirSync(srcRoot, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
    .sort()
    .map((path) => {
      const text = readFileSync(join(srcRoot, path), "utf8");
      return { path, text, imports: parseImports(text) };
    });
}

/** Reads a file of the repository. */
export function readRepoFile(path: string): string {
  return readFileSync(join(repoRoot, path), "utf8");
}
