/** One line of an ignore file, compiled. */
export interface IgnoreRule {
  readonly isNegated: boolean;
  readonly isDirectoryOnly: boolean;
  /** Tests the path relative to the ignore file's directory, `/`-separated, without a trailing slash. */
  readonly matches: (relative: string) => boolean;
}

/** Compiles the text of a `.gitignore`, `.skyignore` or `.git/info/exclude`, with the semantics of gitignore(5). */
export function parseIgnoreText(text: string): readonly IgnoreRule[] {
  const rules: IgnoreRule[] = [];
  for (const line of text.replace(/^\uFEFF/, "").split("\n")) {
    const rule = parseLine(line);
    if (rule !== undefined) rules.push(rule);
  }
  return rules;
}

function parseLine(line: string): IgnoreRule | undefined {
  let pattern = trimTrailingSpaces(line.endsWith("\r") ? line.slice(0, -1) : line);
  if (pattern === "" || pattern.startsWith("#")) return undefined;
  const isNegated = pattern.startsWith("!");
  if (isNegated) pattern = pattern.slice(1);
  const isDirectoryOnly = pattern.endsWith("/");
  if (isDirectoryOnly) pattern = pattern.slice(0, -1);
  if (pattern === "") return undefined;
  // A slash at the beginning or in the middle ties the pattern to the file's directory.
  const isAnchored = pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  const source = globToRegExpSource(isAnchored ? pattern : `**/${pattern}`);
  if (source === undefined) return undefined;
  const expression = new RegExp(`^${source}$`, "su");
  return { isNegated, isDirectoryOnly, matches: (relative) => expression.test(relative) };
}

function trimTrailingSpaces(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === " ") {
    let backslashes = 0;
    for (let i = end - 2; i >= 0 && line[i] === "\\"; i--) backslashes++;
    if (backslashes % 2 === 1) break;
    end--;
  }
  return line.slice(0, end);
}

/** Undefined for a pattern that git never matches (an unclosed bracket, a trailing backslash). */
function globToRegExpSource(glob: string): string | undefined {
  let source = "";
  let i = 0;
  while (i < glob.length) {
    const character = glob[i] ?? "";
    if (character === "*") {
      const star = readStars(glob, i);
      source += star.source;
      i = star.next;
    } else if (character === "?") {
      source += "[^/]";
      i++;
    } else if (character === "[") {
      const bracket = readBracket(glob, i);
      if (bracket === undefined) return undefined;
      source += bracket.source;
      i = bracket.next;
    } else if (character === "\\") {
      const escaped = String.fromCodePoint(glob.codePointAt(i + 1) ?? 0);
      if (i + 1 >= glob.length) return undefined;
      source += escapeRegExp(escaped);
      i += 1 + escaped.length;
    } else {
      source += escapeRegExp(character);
      i++;
    }
  }
  return source;
}

function readStars(glob: string, start: number): { readonly source: string; readonly next: number } {
  let end = start;
  while (glob[end] === "*") end++;
  const opens = start === 0 || glob[start - 1] === "/";
  if (end - start >= 2 && opens && end - start === 2) {
    if (glob[end] === "/") return { source: "(?:[^/]+/)*", next: end + 1 };
    // `a/**` is everything inside a, not a itself.
    if (end === glob.length) return { source: start === 0 ? ".*" : ".+", next: end };
  }
  return { source: "[^/]*", next: end };
}

const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: "\\s",
  blank: " \\t",
  xdigit: "0-9A-Fa-f",
  punct: "!-\\/:-@\\[-`\\{-~",
  cntrl: "\\x00-\\x1f\\x7f",
  print: "\\x20-\\x7e",
  graph: "\\x21-\\x7e",
};

function readBracket(glob: string, start: number): { readonly source: string; readonly next: number } | undefined {
  const isNegated = glob[start + 1] === "!" || glob[start + 1] === "^";
  const first = start + (isNegated ? 2 : 1);
  let i = first;
  let body = "";
  while (i < glob.length && (i === first || glob[i] !== "]")) {
    const item = readPosixClass(glob, i) ?? readRange(glob, i);
    if (item === undefined) return undefined;
    body += item.source;
    i = item.next;
  }
  if (glob[i] !== "]") return undefined;
  // No wildcard of a path pattern crosses a slash.
  return { source: isNegated ? `[^/${body}]` : `(?!/)[${body}]`, next: i + 1 };
}

function readPosixClass(glob: string, start: number): { readonly source: string; readonly next: number } | undefined {
  const posix = /^\[:([a-z]+):\]/u.exec(glob.slice(start, start + 12));
  const members = POSIX_CLASSES[posix?.[1] ?? ""];
  return posix === null || members === undefined ? undefined : { source: members, next: start + posix[0].length };
}

function readRange(glob: string, start: number): { readonly source: string; readonly next: number } | undefined {
  const low = readMember(glob, start);
  if (low === undefined) return undefined;
  const high = glob[low.next] === "-" && glob[low.next + 1] !== "]" ? readMember(glob, low.next + 1) : undefined;
  if (high === undefined) return { source: escapeMember(low.text), next: low.next };
  // A range that runs backwards is its first character only.
  const range = low.text <= high.text ? `${escapeMember(low.text)}-${escapeMember(high.text)}` : escapeMember(low.text);
  return { source: range, next: high.next };
}

function readMember(glob: string, start: number): { readonly text: string; readonly next: number } | undefined {
  const at = glob[start] === "\\" ? start + 1 : start;
  const code = glob.codePointAt(at);
  if (code === undefined) return undefined;
  const text = String.fromCodePoint(code);
  return { text, next: at + text.length };
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
}

function escapeMember(text: string): string {
  return text.replace(/[\\\]^\-[/]/gu, "\\$&");
}
