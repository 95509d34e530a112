/** YAML 1.1 as PyYAML's safe loader reads it, duplicate keys refused. The one reader of YAML. */

import { EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException, type Event } from "js-yaml";
import { InvalidConfigError } from "./errors.ts";
import {
  isNull,
  locate,
  placeOf,
  plainOf,
  type Mark,
  type YamlEntry,
  type YamlMapping,
  type YamlNode,
  type YamlPath,
  type YamlScalar,
  type YamlSequence,
} from "./yaml-node.ts";
import { pyRepr } from "./yaml-repr.ts";
import { constructScalar, resolvePlain } from "./yaml-scalars.ts";

export { dumpYaml } from "./yaml-dump.ts";

/** Characters of one text; larger files are data, not configuration. */
export const MAX_YAML_LENGTH = 4 * 1024 * 1024;

/** Deeper than any block that a person writes. */
const PADDING = " ".repeat(120);

/** Characters that may be parsed again while lines are repaired. */
const MAX_REPAIR_WORK = 20_000_000;

/** Values that aliases and merges may add by repetition. */
const MAX_REPEATED_VALUES = 100_000;

export interface YamlDocument {
  readonly root: YamlNode;
  /** The document as plain data: maps are objects with string keys. */
  readonly value: unknown;
  /** Where the key (absent for list items and the root) and the value of a path stand; undefined for an unknown path. */
  locate(path: YamlPath): { readonly key: Mark | undefined; readonly value: Mark | undefined } | undefined;
}

export interface ParseYamlOptions {
  /** Shown in errors. */
  readonly file?: string | undefined;
  /** Characters; default MAX_YAML_LENGTH. */
  readonly maxLength?: number | undefined;
  /** When given, a duplicate key is told here and its last value counts; without it, it is an error. */
  readonly onDuplicateKey?: ((message: string) => void) | undefined;
}

/** A text is not YAML, or is YAML that we refuse. `reason` is the parser's text without file and place. */
export class YamlSyntaxError extends InvalidConfigError {
  readonly reason: string;
  readonly mark: Mark | undefined;

  constructor(reason: string, mark?: Mark, options?: ParseYamlOptions & ErrorOptions) {
    const place = mark === undefined ? options?.file : placeOf(mark, options?.file);
    super(place === undefined ? reason : `${reason}\n  at ${place}`, { cause: options?.cause });
    this.reason = reason;
    this.mark = mark;
  }
}

/**
 * Reads every document of a text. An empty document is a null scalar; an empty text has no documents.
 * @throws YamlSyntaxError
 */
export function parseYamlDocuments(text: string, options: ParseYamlOptions = {}): readonly YamlDocument[] {
  const limit = options.maxLength ?? MAX_YAML_LENGTH;
  if (text.length > limit)
    throw new YamlSyntaxError(
      `The YAML is ${(text.length / 1_048_576).toFixed(1)} MiB long; at most ${limit / 1_048_576} MiB are read. ` +
        "Move data out of the file, for example into file_mounts.",
      undefined,
      options,
    );
  return new Loader(text.startsWith("\uFEFF") ? text.slice(1) : text, options).load();
}

/** Reads a text that must hold at most one document; null when it is empty. */
export function parseYaml(text: string, options: ParseYamlOptions = {}): YamlDocument | undefined {
  const documents = parseYamlDocuments(text, options);
  if (documents.length > 1) throw new YamlSyntaxError("expected a single document in the stream", undefined, options);
  const [only] = documents;
  return only === undefined || isNull(only.root) ? undefined : only;
}

/** Turns the parser's flat event list into nodes: resolves tags, aliases, merges and duplicate keys. */
class Loader {
  #source: string;
  readonly #options: ParseYamlOptions;
  readonly #lineStarts: number[] = [0];
  #events: readonly Event[] = [];
  #next = 0;
  /** Lines, from 0, that got blanks at their start. */
  readonly #padded = new Set<number>();
  #anchors = new Map<string, YamlNode>();
  #sizes = new WeakMap<YamlNode, number>();
  #repeated = 0;
  /** Plain `<<` keys: a quoted one is an ordinary key, so the text alone does not tell. */
  readonly #merges = new WeakSet<YamlNode>();

  constructor(source: string, options: ParseYamlOptions) {
    this.#source = source;
    this.#options = options;
  }

  load(): YamlDocument[] {
    this.#events = this.#parse();
    for (let at = this.#source.indexOf("\n"); at >= 0; at = this.#source.indexOf("\n", at + 1))
      this.#lineStarts.push(at + 1);
    const documents: YamlDocument[] = [];
    while (this.#next < this.#events.length) {
      this.#next += 1;
      this.#anchors = new Map();
      const root = this.#peek()?.type === EVENT_ID.POP ? constructScalar("null", "") : this.#node();
      this.#next += 1;
      documents.push(documentOf(root));
    }
    return documents;
  }

  /**
   * PyYAML takes lines inside brackets and quotes at any indentation, our parser does not. Blanks at their start mean nothing,
   * so a line that the parser finds too short gets some, and the marks are corrected for them.
   */
  #parse(): readonly Event[] {
    // Lines in a row are padded in growing batches; a batch that went past the closing bracket is taken back.
    let batch: { readonly source: string; readonly start: number; readonly end: number } | undefined;
    for (let work = 0; ; work += this.#source.length) {
      try {
        return parseEvents(this.#source, { maxDepth: 100 });
      } catch (error) {
        const line = shortLine(error);
        if (work > MAX_REPAIR_WORK) throw this.#fromParser(error);
        if (line !== undefined && !this.#padded.has(line)) {
          const size = batch?.end === line ? 2 * (batch.end - batch.start) : 1;
          batch = { source: this.#source, start: line, end: line + size };
        } else if (batch !== undefined && batch.end - batch.start > 1) {
          this.#source = batch.source;
          for (let index = batch.start; index < batch.end; index += 1) this.#padded.delete(index);
          batch = { ...batch, end: batch.start + 1 };
        } else throw this.#fromParser(error);
        this.#pad(batch.start, batch.end);
      }
    }
  }

  #pad(start: number, end: number): void {
    const lines = this.#source.split("\n");
    for (let line = start; line < Math.min(end, lines.length); line += 1) {
      lines[line] = PADDING + (lines[line] ?? "");
      this.#padded.add(line);
    }
    this.#source = lines.join("\n");
  }

  #fromParser(error: unknown): Error {
    if (!(error instanceof YAMLException)) {
      if (error instanceof RangeError) return this.#error("The YAML is nested too deeply.", 0, error);
      throw error;
    }
    const at = error.mark;
    const mark = at && { line: at.line + 1, column: this.#column(at.line, at.column) };
    return new YamlSyntaxError(error.reason, mark, { ...this.#options, cause: error });
  }

  #peek(): Event | undefined {
    return this.#events[this.#next];
  }

  #node(): YamlNode {
    const event = this.#events[this.#next];
    this.#next += 1;
    if (event === undefined || event.type === EVENT_ID.POP || event.type === EVENT_ID.DOCUMENT)
      throw this.#error("unexpected end of the document", this.#source.length);
    if (event.type === EVENT_ID.ALIAS)
      return this.#alias(this.#source.slice(event.anchorStart, event.anchorEnd), event);
    const tag = event.tagStart < 0 ? undefined : this.#source.slice(event.tagStart, event.tagEnd);
    let node: YamlNode;
    if (event.type === EVENT_ID.SCALAR) node = this.#scalar(event, tag);
    else if (event.type === EVENT_ID.SEQUENCE) node = this.#sequence(event.start, tag);
    else node = this.#mapping(event.start, tag);
    if (event.anchorStart >= 0) this.#anchors.set(this.#source.slice(event.anchorStart, event.anchorEnd), node);
    return node;
  }

  #alias(name: string, event: { readonly anchorStart: number }): YamlNode {
    const node = this.#anchors.get(name);
    if (node === undefined) throw this.#error(`found undefined alias '${name}'`, event.anchorStart);
    this.#repeat(this.#sizeOf(node), event.anchorStart);
    return node;
  }

  /** Counts values that exist once in memory but many times for whoever walks the tree. */
  #repeat(count: number, offset: number): void {
    this.#repeated += count;
    if (this.#repeated > MAX_REPEATED_VALUES)
      throw this.#error(
        `The aliases of this YAML expand to more than ${MAX_REPEATED_VALUES} values. Write the values out, or use fewer aliases.`,
        offset,
      );
  }

  #sizeOf(node: YamlNode): number {
    if (node.kind === "scalar") return 1;
    const known = this.#sizes.get(node);
    if (known !== undefined) return known;
    let size = 1;
    if (node.kind === "sequence") for (const item of node.items) size += this.#sizeOf(item);
    else for (const { key, value } of node.entries) size += this.#sizeOf(key) + this.#sizeOf(value);
    this.#sizes.set(node, size);
    return size;
  }

  #scalar(event: Extract<Event, { type: typeof EVENT_ID.SCALAR }>, tag: string | undefined): YamlScalar {
    const text = getScalarValue(this.#source, event);
    const offset = event.style >= SCALAR_STYLE.LITERAL_BLOCK ? event.valueStart : this.#scalarStart(event);
    const mark = this.#mark(offset);
    const plain = event.style === SCALAR_STYLE.PLAIN;
    const type = tag === undefined ? (plain ? resolvePlain(text) : "str") : this.#scalarTag(tag, plain, text, offset);
    if (type === "value")
      throw this.#error("could not determine a constructor for the tag 'tag:yaml.org,2002:value'", offset);
    try {
      const scalar = constructScalar(type === "merge" ? "str" : type, text, mark);
      if (type === "merge") this.#merges.add(scalar);
      return scalar;
    } catch (error) {
      if (error instanceof RangeError) throw this.#error(error.message, offset, error);
      throw error;
    }
  }

  /** A quoted scalar's value begins after its quote. */
  #scalarStart(event: { readonly valueStart: number; readonly style: number }): number {
    return event.style === SCALAR_STYLE.PLAIN ? Math.max(event.valueStart, 0) : event.valueStart - 1;
  }

  #scalarTag(tag: string, plain: boolean, text: string, offset: number) {
    if (tag === "!") return plain && text !== "" ? resolvePlain(text) : "str";
    const type = SCALAR_TAGS[canonicalTag(tag)];
    if (type !== undefined) return type;
    if (canonicalTag(tag) === "?" && plain) return resolvePlain(text);
    throw this.#unknownTag(tag, offset);
  }

  #unknownTag(tag: string, offset: number): Error {
    return this.#error(`could not determine a constructor for the tag '${fullTag(tag)}'`, offset);
  }

  #sequence(start: number, tag: string | undefined): YamlSequence {
    if (tag !== undefined && canonicalTag(tag) !== "seq") throw this.#unknownTag(tag, start);
    const items: YamlNode[] = [];
    while (this.#peek()?.type !== EVENT_ID.POP) items.push(this.#node());
    this.#next += 1;
    return { kind: "sequence", items, mark: this.#mark(start) };
  }

  #mapping(start: number, tag: string | undefined): YamlMapping {
    if (tag !== undefined && canonicalTag(tag) !== "map" && canonicalTag(tag) !== "set")
      throw this.#unknownTag(tag, start);
    const merged: YamlEntry[] = [];
    const own = new Map<string, YamlEntry>();
    while (this.#peek()?.type !== EVENT_ID.POP) {
      const offset = this.#offsetOf(this.#peek());
      const key = this.#node();
      const value = this.#node();
      if (this.#merges.has(key)) merged.unshift(...this.#mergeEntries(value, offset));
      else this.#addEntry(own, { key, value }, offset);
    }
    this.#next += 1;
    const entries = new Map<string, YamlEntry>();
    for (const entry of merged) entries.set(keyId(entry.key), entry);
    for (const [id, entry] of own) entries.set(id, entry);
    return { kind: "mapping", entries: [...entries.values()], mark: this.#mark(start) };
  }

  #addEntry(own: Map<string, YamlEntry>, entry: YamlEntry, offset: number): void {
    if (entry.key.kind !== "scalar") throw this.#error("found unhashable key", offset);
    const id = keyId(entry.key);
    const before = own.get(id);
    if (before !== undefined) this.#duplicate(entry.key, before.key, offset);
    own.set(id, entry);
  }

  #duplicate(key: YamlNode, before: YamlNode, offset: number): void {
    const { line } = this.#mark(offset);
    const reason =
      `Duplicate key ${pyRepr(key)} in YAML at line ${line} (also defined at line ${before.mark?.line ?? line}). ` +
      "Remove one of the entries so the intended value is unambiguous.";
    if (this.#options.onDuplicateKey === undefined) throw this.#error(reason, offset);
    this.#options.onDuplicateKey(reason);
  }

  /** In a list of merged maps the first one wins, so it comes last. */
  #mergeEntries(value: YamlNode, offset: number): readonly YamlEntry[] {
    const maps = value.kind === "sequence" ? [...value.items].reverse() : [value];
    const entries: YamlEntry[] = [];
    for (const map of maps) {
      if (map.kind !== "mapping")
        throw this.#error(
          `expected a mapping${value.kind === "sequence" ? "" : " or list of mappings"} for merging, but found ${map.kind}`,
          offset,
        );
      this.#repeat(this.#sizeOf(map), offset);
      entries.push(...map.entries);
    }
    return entries;
  }

  #offsetOf(event: Event | undefined): number {
    if (event === undefined) return this.#source.length;
    if (event.type === EVENT_ID.SCALAR) return this.#scalarStart(event);
    if (event.type === EVENT_ID.ALIAS) return event.anchorStart - 1;
    return event.type === EVENT_ID.SEQUENCE || event.type === EVENT_ID.MAPPING ? event.start : 0;
  }

  #mark(offset: number): Mark {
    let low = 0;
    let high = this.#lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: this.#column(low, offset - (this.#lineStarts[low] ?? 0)) };
  }

  /** Counted from 1, without the blanks that were put in. */
  #column(line: number, column: number): number {
    return Math.max(column - (this.#padded.has(line) ? PADDING.length : 0), 0) + 1;
  }

  #error(reason: string, offset: number, cause?: unknown): YamlSyntaxError {
    return new YamlSyntaxError(reason, this.#mark(offset), { ...this.#options, cause });
  }
}

/** The line, from 0, that the parser finds indented too little inside brackets or quotes. */
function shortLine(error: unknown): number | undefined {
  const isShort = error instanceof YAMLException && error.reason === "deficient indentation";
  return isShort ? error.mark?.line : undefined;
}

function documentOf(root: YamlNode): YamlDocument {
  let plain: { readonly value: unknown } | undefined;
  return {
    root,
    get value() {
      plain ??= { value: plainOf(root) };
      return plain.value;
    },
    locate(path) {
      const found = locate(root, path);
      return found && { key: found.key?.mark, value: found.value.mark };
    },
  };
}

/** Two keys are the same when Python's dict thinks so: 1, 1.0 and True are one key. */
function keyId(key: YamlNode): string {
  if (key.kind !== "scalar") return pyRepr(key);
  if (key.type === "bool" || key.type === "int" || key.type === "float") return `n:${Number(key.value)}`;
  return `${key.type}:${String(key.value)}`;
}

const SCALAR_TAGS: Readonly<Record<string, YamlScalar["type"]>> = {
  str: "str",
  int: "int",
  float: "float",
  bool: "bool",
  null: "null",
  binary: "bytes",
  timestamp: "timestamp",
};

const YAML_TAG = "tag:yaml.org,2002:";

function fullTag(tag: string): string {
  if (tag.startsWith("!<") && tag.endsWith(">")) return tag.slice(2, -1);
  return tag.startsWith("!!") ? YAML_TAG + tag.slice(2) : tag;
}

/** `!!str` and `!<tag:yaml.org,2002:str>` → `str`; any other tag as it is. */
function canonicalTag(tag: string): string {
  const full = fullTag(tag);
  return full.startsWith(YAML_TAG) ? full.slice(YAML_TAG.length) : full;
}
