import { InvalidValueError } from "../../shared/errors.ts";

const MAX_PORT = 65_535;

/** Ports and ranges (`80`, `9000-9010`, `80,443`) → sorted, each once, consecutive ones joined; empty when there are none. */
export function canonicalPorts(written: readonly string[]): readonly string[] {
  const open = new Set<number>();
  for (const text of written.flatMap((item) => item.split(","))) {
    const part = text.trim();
    if (part === "") continue;
    const [from, to] = parseRange(part);
    for (let port = from; port <= to; port += 1) open.add(port);
  }
  return joinRanges([...open].sort((a, b) => a - b));
}

function parseRange(text: string): readonly [number, number] {
  const parts = text.split("-");
  if (parts.length === 1 && /^[0-9]+$/.test(text)) {
    const port = parsePort(text);
    return [port, port];
  }
  if (parts.length === 2) {
    const from = parsePort(parts[0] ?? "");
    const to = parsePort(parts[1] ?? "");
    if (from <= to) return [from, to];
  }
  throw new InvalidValueError(
    `Invalid port range ${text}. Please use the format "from-to", in which from <= to. e.g. "1-3".`,
  );
}

function parsePort(text: string): number {
  const port = /^[0-9]+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > MAX_PORT)
    throw new InvalidValueError(`Invalid port ${text}. Please use a port number between 1 and ${MAX_PORT}.`);
  return port;
}

function joinRanges(ports: readonly number[]): string[] {
  const ranges: string[] = [];
  let start = 0;
  for (let index = 1; index <= ports.length; index += 1) {
    if (ports[index] === (ports[index - 1] ?? 0) + 1) continue;
    const from = ports[start];
    const to = ports[index - 1];
    ranges.push(from === to ? String(from) : `${from}-${to}`);
    start = index;
  }
  return ranges;
}

/** Whether every port of `wanted` is open in `open` (both canonical). */
export function coversPorts(open: readonly string[], wanted: readonly string[]): boolean {
  const have = open.map((range) => parseRange(range));
  return wanted
    .map((range) => parseRange(range))
    .every(([from, to]) => have.some(([first, last]) => first <= from && to <= last));
}
