import type { Env } from "../../platform/env.ts";

/** Names that texts use; empty functions when colours are off. */
export interface Colors {
  readonly enabled: boolean;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly blue: (text: string) => string;
  readonly cyan: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly boldCyan: (text: string) => string;
}

/** The one colour policy: `NO_COLOR` wins, then `FORCE_COLOR`, then whether it is a terminal that knows colours. */
export function makeColors(env: Env, isTTY: boolean): Colors {
  const forced = env["FORCE_COLOR"];
  const off = env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== "";
  const on = forced !== undefined && forced !== "" && forced !== "0";
  const enabled = !off && (on || (isTTY && env["TERM"] !== "dumb"));
  const paint =
    (code: string) =>
    (text: string): string =>
      enabled && text !== "" ? `\u001B[${code}m${text}\u001B[0m` : text;
  return {
    enabled,
    red: paint("31"),
    green: paint("32"),
    yellow: paint("33"),
    blue: paint("34"),
    cyan: paint("36"),
    dim: paint("2"),
    bold: paint("1"),
    boldCyan: paint("1;36"),
  };
}
