export interface SectionEdit {
  /** The line between the brackets, e.g. `profile dev`. */
  readonly header: string;
  readonly options: Readonly<Record<string, string>>;
  /** Options that must not stay, because they would contradict the new ones. */
  readonly remove?: readonly string[];
}

/** Sets options of a section of an AWS config file and leaves every other line as it is, comments included. */
export function editSection(text: string, edit: SectionEdit): string {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text === "" ? [] : text.replace(/\r?\n$/u, "").split(/\r?\n/u);
  const start = lines.findIndex((line) => /^\[(.+)\]/u.exec(line.trim())?.[1] === edit.header);
  const wanted = Object.entries(edit.options).map(([name, value]) => `${name} = ${value}`);
  if (start < 0) {
    const gap = lines.length === 0 || lines.at(-1)?.trim() === "" ? [] : [""];
    return [...lines, ...gap, `[${edit.header}]`, ...wanted, ""].join(newline);
  }
  const next = lines.findIndex((line, index) => index > start && line.trim().startsWith("["));
  const end = next < 0 ? lines.length : next;
  const gone = new Set([...Object.keys(edit.options), ...(edit.remove ?? [])]);
  const kept = dropOptions(lines.slice(start + 1, end), gone);
  const body = [...kept.filled, ...wanted, ...kept.blank];
  return [...lines.slice(0, start + 1), ...body, ...lines.slice(end), ""].join(newline);
}

/** Also drops the indented lines that continue a dropped option; blank lines at the end stay at the end. */
function dropOptions(
  lines: readonly string[],
  gone: ReadonlySet<string>,
): { readonly filled: readonly string[]; readonly blank: readonly string[] } {
  const filled: string[] = [];
  let isDropping = false;
  for (const line of lines) {
    const name = /^([^\s#;=:][^=:]*?)\s*[=:]/u.exec(line)?.[1]?.toLowerCase();
    if (name !== undefined) isDropping = gone.has(name);
    else if (!/^\s+\S/u.test(line)) isDropping = false;
    if (!isDropping) filled.push(line);
  }
  const blank: string[] = [];
  while (filled.at(-1)?.trim() === "") blank.push(filled.pop() ?? "");
  return { filled, blank };
}

/** A profile's section name in the config file; names with odd characters are quoted. */
export function profileHeader(profile: string): string {
  if (profile === "default") return profile;
  return /^[\w.@+/-]+$/u.test(profile) ? `profile ${profile}` : `profile "${profile.replaceAll(/["\\]/gu, "\\$&")}"`;
}
