/** Numbers with units: cpus, memory, disk size. Every function throws InvalidValueError with the words of 0.14.1. */

import { InvalidValueError } from "../../shared/errors.ts";
import { reprFloat, reprString } from "../../shared/yaml-repr.ts";

const UNIT_GIB: Readonly<Record<string, number>> = {
  k: 1 / 1024 / 1024,
  m: 1 / 1024,
  g: 1,
  t: 1024,
  p: 1024 * 1024,
};

/** What Python's float() takes: blanks around it, single underscores between digits, inf and nan. */
export function parsePythonFloat(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^[-+]?(?:inf|infinity)$/i.test(trimmed)) return trimmed.startsWith("-") ? -Infinity : Infinity;
  if (/^[-+]?nan$/i.test(trimmed)) return NaN;
  if (!/^[-+]?(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)(?:e[-+]?[0-9]+)?$/i.test(trimmed))
    return undefined;
  return Number(trimmed.replaceAll("_", ""));
}

/** `4`, `4+`, `0.5` as written. */
export function parseCpus(text: string): string {
  checkAmount("cpus", text, text.endsWith("+") ? text.slice(0, -1) : text);
  return text;
}

function checkAmount(field: string, found: string, digits: string): void {
  const value = parsePythonFloat(digits);
  if (value === undefined)
    throw new InvalidValueError(
      `The "${field}" field should be either a number or a string "<number>+". Found: ${reprString(found)}`,
    );
  if (value <= 0) throw new InvalidValueError(`The "${field}" field should be positive. Found: ${reprString(found)}`);
}

/** GiB as printed: `16`, `16+`, `0.5`; `2x` is GiB per vCPU. A unit turns the number into a fraction (`16GB` → `16.0`). */
export function parseMemory(text: string): string {
  const perCpu = /^(.*)x(\+?)$/.exec(text);
  if (perCpu !== null) return parsePerCpu(text, perCpu[1] ?? "", perCpu[2] !== "");
  const plus = text.endsWith("+") ? "+" : "";
  const amount = plus === "" ? text : text.slice(0, -1);
  const gib = gibOf(amount);
  if (gib === undefined && parsePythonFloat(amount) === undefined) throw badMemory(text);
  const canonical = gib === undefined ? text : reprFloat(gib) + plus;
  checkAmount("memory", canonical, plus === "" ? canonical : canonical.slice(0, -1));
  return canonical;
}

function parsePerCpu(text: string, digits: string, plus: boolean): string {
  if (parsePythonFloat(digits) === undefined) throw badMemory(text);
  // "At least N per vCPU" has no meaning; the original shows its own reading of it.
  checkAmount("memory", plus ? `${digits}+x` : text, plus ? "" : digits);
  return text;
}

/** GiB of a number with a two-letter unit (`GB` and `Gi` are the same); undefined for anything else. */
function gibOf(text: string): number | undefined {
  const factor = /[bi]$/i.test(text) ? UNIT_GIB[text.at(-2)?.toLowerCase() ?? ""] : undefined;
  const value = factor === undefined ? undefined : parsePythonFloat(text.slice(0, -2));
  return value === undefined || factor === undefined ? undefined : value * factor;
}

const SIZE_HINT =
  'should be a number (e.g. "16") or "<number><unit>" where unit is one of KB/MB/GB/TB/PB (e.g. "16GB")';

function badMemory(text: string): InvalidValueError {
  return new InvalidValueError(`"memory" field ${SIZE_HINT} or "<number>+" for "at least". Got: ${reprString(text)}`);
}

/** Whole GiB. */
export function parseDiskSize(text: string): number {
  const gib = gibOf(text) ?? (/^-?[0-9]+$/.test(text) ? Number(text) : undefined);
  if (gib === undefined || !Number.isInteger(gib))
    throw new InvalidValueError(`"disk_size" field ${SIZE_HINT}. Got: ${reprString(text)}`);
  if (gib < 1) throw new InvalidValueError(`"disk_size" must be a positive integer (in GB). Got: '${gib}'.`);
  return gib;
}

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440, w: 10_080 };

/** Minutes of `5`, `5m`, `1h`, `2d`, `1w`; the caller has checked the form. */
export function parseMinutes(text: string): number {
  const unit = text.at(-1)?.toLowerCase() ?? "";
  const factor = MINUTES[unit];
  return factor === undefined ? Number(text) : Number(text.slice(0, -1)) * factor;
}

const LOCAL_DISK_FORM =
  'Expected "mode:size[+]", "mode", or "size[+]". Mode must be "nvme" or "ssd", size must be positive (GB), optionally with "+".';

/** Canonical `mode:size[+]`; the default mode is nvme, the default size `100+` GB. */
export function parseLocalDisk(written: string): string {
  const text = written.trim().toLowerCase();
  const [first = "", size] = text.split(":", 2);
  const isMode = first === "nvme" || first === "ssd";
  if (size === undefined) {
    if (isMode) return `${first}:100+`;
    if (isSize(first)) return `nvme:${first}`;
  } else {
    if (!isMode) throw new InvalidValueError(`Invalid local_disk mode: ${reprString(first)}. Must be "nvme" or "ssd".`);
    if (isSize(size)) return text;
  }
  throw new InvalidValueError(`Invalid local_disk: ${reprString(text)}. ${LOCAL_DISK_FORM}`);
}

function isSize(text: string): boolean {
  const value = parsePythonFloat(text.endsWith("+") ? text.slice(0, -1) : text);
  return value !== undefined && value > 0;
}
