/** The plain scalars of YAML 1.1 as PyYAML reads them. */

import { reprFloat } from "./yaml-repr.ts";
import type { Mark, YamlScalar } from "./yaml-node.ts";

const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const TRUTHY = /^(?:yes|true|on)$/i;
const NULL = /^(?:~|null|Null|NULL|)$/;
const INT =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DATE = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/;
const TIMESTAMP =
  /^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?(?:[ \t]*(?:(Z)|([-+])([0-9]{1,2})(?::?([0-9]{2}))?))?$/;

export type ScalarType = YamlScalar["type"] | "merge" | "value";

/** The type that PyYAML gives a plain scalar without a tag; `merge` is `<<`, `value` is `=` (which nothing can construct). */
export function resolvePlain(text: string): ScalarType {
  if (text.length > 4096) return INT.test(text) ? "int" : FLOAT.test(text) ? "float" : "str";
  if (NULL.test(text)) return "null";
  if (BOOL.test(text)) return "bool";
  if (INT.test(text)) return "int";
  if (FLOAT.test(text)) return "float";
  if (DATE.test(text) || TIMESTAMP.test(text)) return "timestamp";
  if (text === "<<") return "merge";
  return text === "=" ? "value" : "str";
}

/** Builds a scalar of a type from its text; throws RangeError with Python's words when the text does not fit the type. */
export function constructScalar(type: YamlScalar["type"], text: string, mark?: Mark): YamlScalar {
  switch (type) {
    case "null":
      return { kind: "scalar", type, value: null, mark };
    case "bool":
      if (!BOOL.test(text)) throw new RangeError(`'${text.toLowerCase()}' is not a boolean`);
      return { kind: "scalar", type, value: TRUTHY.test(text), mark };
    case "int":
      return { kind: "scalar", type, value: parseInteger(text), mark };
    case "float":
      return { kind: "scalar", type, value: parseFloating(text), mark };
    case "timestamp":
      return constructTimestamp(text, mark);
    case "bytes":
      return { kind: "scalar", type, value: decodeBase64(text), mark };
    case "str":
      return { kind: "scalar", type, value: text, mark };
  }
}

function parseInteger(source: string): number | bigint {
  const text = source.replaceAll("_", "");
  const negative = text.startsWith("-");
  const digits = text.replace(/^[-+]/, "");
  const value = BigInt(integerValue(digits, source));
  const signed = negative ? -value : value;
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

function integerValue(digits: string, source: string): bigint | string {
  if (digits === "0") return 0n;
  if (/^0b[01]+$|^0x[0-9a-fA-F]+$/.test(digits)) return digits;
  if (/^0[0-7]+$/.test(digits)) return `0o${digits.slice(1)}`;
  if (/^[0-9]+(?::[0-9]+)+$/.test(digits))
    return digits.split(":").reduce((total, part) => total * 60n + BigInt(part), 0n);
  if (/^[1-9][0-9]*$/.test(digits)) return digits;
  throw new RangeError(`invalid literal for int() with base 10: '${source}'`);
}

function parseFloating(source: string): number {
  const text = source.replaceAll("_", "").toLowerCase();
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[-+]/, "");
  if (digits === ".inf") return sign * Infinity;
  if (digits === ".nan") return NaN;
  if (digits.includes(":")) return sign * digits.split(":").reduce((total, part) => total * 60 + Number(part), 0);
  const value = digits === "" || digits === "." ? NaN : Number(digits);
  if (Number.isNaN(value)) throw new RangeError(`could not convert string to float: '${source}'`);
  return sign * value;
}

function constructTimestamp(text: string, mark: Mark | undefined): YamlScalar {
  const date = DATE.exec(text);
  const parts = date ?? TIMESTAMP.exec(text);
  if (parts === null) throw new RangeError(`'${text}' is not a timestamp`);
  const [year = 0, month = 0, day = 0] = parts.slice(1, 4).map(Number);
  checkDate(year, month, day);
  const ymd = `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
  const time = date === null ? timeOf(parts) : undefined;
  const repr =
    time === undefined
      ? `datetime.date(${year}, ${month}, ${day})`
      : `datetime.datetime(${year}, ${month}, ${day}, ${time.repr})`;
  return { kind: "scalar", type: "timestamp", value: time === undefined ? ymd : `${ymd} ${time.text}`, repr, mark };
}

function timeOf(parts: RegExpExecArray): { readonly text: string; readonly repr: string } {
  const [hour = 0, minute = 0, second = 0] = parts.slice(4, 7).map(Number);
  checkTime("hour", hour, 23);
  checkTime("minute", minute, 59);
  checkTime("second", second, 59);
  const micros = Number((parts[7] ?? "").slice(0, 6).padEnd(6, "0"));
  const zone = timezone(parts[8], parts[9], Number(parts[10] ?? 0), Number(parts[11] ?? 0));
  const tail = micros > 0 ? `, ${second}, ${micros}` : second > 0 ? `, ${second}` : "";
  const fraction = micros > 0 ? `.${pad(micros, 6)}` : "";
  return {
    text: `${pad(hour)}:${pad(minute)}:${pad(second)}${fraction}${zone.text}`,
    repr: `${hour}, ${minute}${tail}${zone.repr}`,
  };
}

function checkTime(field: string, value: number, max: number): void {
  if (value > max) throw new RangeError(`${field} must be in 0..${max}`);
}

function timezone(zulu: string | undefined, sign: string | undefined, hours: number, minutes: number) {
  if (zulu === undefined && sign === undefined) return { text: "", repr: "" };
  const seconds = (hours * 60 + minutes) * 60 * (sign === "-" ? -1 : 1);
  if (seconds === 0) return { text: "+00:00", repr: ", tzinfo=datetime.timezone.utc" };
  const days = Math.floor(seconds / 86_400);
  const delta = days === 0 ? `seconds=${seconds}` : `days=${days}, seconds=${seconds - days * 86_400}`;
  return {
    text: `${sign}${pad(hours)}:${pad(minutes)}`,
    repr: `, tzinfo=datetime.timezone(datetime.timedelta(${delta}))`,
  };
}

function checkDate(year: number, month: number, day: number): void {
  if (year < 1) throw new RangeError(`year ${year} is out of range`);
  if (month < 1 || month > 12) throw new RangeError("month must be in 1..12");
  const last = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  if (day < 1 || day > last) throw new RangeError("day is out of range for month");
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Latin-1 text of the bytes; `atob` is missing from the pure rooms' library. */
function decodeBase64(text: string): string {
  let bits = 0;
  let held = 0;
  let out = "";
  for (const char of text.replaceAll(/[\s=]/g, "")) {
    const value = BASE64.indexOf(char);
    if (value < 0) throw new RangeError("failed to decode base64 data");
    held = ((held << 6) | value) & 0xff_ffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += String.fromCharCode((held >> bits) & 0xff);
    }
  }
  return out;
}

/** The text of a float that PyYAML reads back as that float. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value < 0 ? "-.inf" : ".inf";
  const text = reprFloat(value);
  return text.includes(".") ? text : text.replace("e", ".0e");
}
