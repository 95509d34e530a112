/** `--env-file` and `--secret-file`: the dotenv format as python-dotenv reads it. */

/** Names in file order; a bare name without `=` has the value null. Lines that are no assignment are skipped. */
export function parseDotenv(
  text: string,
  options: { readonly env?: Readonly<Record<string, string | undefined>> } = {},
): ReadonlyMap<string, string | null> {
  const found = new Map<string, string | null>();
  const source = text.replaceAll(/\r\n?/g, "\n");
  let at = 0;
  while (at < source.length) {
    const binding = readBinding(source, at);
    at = binding.end;
    if (binding.name === undefined) continue;
    const value = binding.value;
    const isRaw = value === null || binding.quote === "'";
    found.set(binding.name, isRaw ? value : interpolate(value, found, options.env ?? {}));
  }
  return found;
}

interface Binding {
  readonly name?: string;
  readonly value: string | null;
  readonly quote?: string;
  /** Where the next line begins. */
  readonly end: number;
}

const NAME = /[^\S\n]*(?:export[^\S\n]+)?(?:'([^'\n]+)'|([^=#\s]+))[^\S\n]*(=)?[^\S\n]*/y;
const QUOTED: Readonly<Record<string, RegExp>> = {
  '"': /"((?:\\[\s\S]|[^"\\])*)"[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y,
  "'": /'((?:\\[\s\S]|[^'\\])*)'[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y,
};

function readBinding(source: string, start: number): Binding {
  const lineEnd = source.indexOf("\n", start);
  const next = lineEnd < 0 ? source.length : lineEnd + 1;
  NAME.lastIndex = start;
  const match = NAME.exec(source);
  if (match === null || match.index !== start) return { value: null, end: next };
  const name = match[1] ?? match[2] ?? "";
  const valueStart = NAME.lastIndex;
  if (match[3] === undefined) {
    const rest = source.slice(valueStart, lineEnd < 0 ? source.length : lineEnd);
    return rest === "" || rest.startsWith("#") ? { name, value: null, end: next } : { value: null, end: next };
  }
  return readValue(source, { name, valueStart, next });
}

function readValue(
  source: string,
  at: { readonly name: string; readonly valueStart: number; readonly next: number },
): Binding {
  const quote = source.charAt(at.valueStart);
  const quoted = QUOTED[quote];
  if (quoted !== undefined) {
    quoted.lastIndex = at.valueStart;
    const match = quoted.exec(source);
    if (match === null) return { value: null, end: at.next };
    return { name: at.name, value: decodeEscapes(match[1] ?? "", quote), quote, end: quoted.lastIndex };
  }
  const line = source.slice(at.valueStart, at.next).replace(/\n$/, "");
  // A comment needs a blank before it.
  const value = line.replace(/\s+#.*$/, "").trimEnd();
  return { name: at.name, value: value.startsWith("#") ? "" : value, end: at.next };
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function decodeEscapes(text: string, quote: string): string {
  if (quote === "'") return text.replaceAll(/\\([\\'])/g, "$1");
  return text.replaceAll(/\\([\\'"abfnrtv])/g, (_, char: string) => ESCAPES[char] ?? char);
}

/** `${NAME}` and `${NAME:-default}`: the environment wins over the file, an unknown name is empty. */
function interpolate(
  text: string,
  found: ReadonlyMap<string, string | null>,
  env: Readonly<Record<string, string | undefined>>,
): string {
  return text.replaceAll(/\$\{([^}:]*)(?::-([^}]*))?\}/g, (_, name: string, fallback: string | undefined) => {
    return found.get(name) ?? env[name] ?? fallback ?? "";
  });
}
