import type crypto from "node:crypto";

/** `node:crypto`, loaded on first use: it is a fifth of what a short command loads, and most commands need none of it. */
export function loadCrypto(): typeof crypto {
  return process.getBuiltinModule("node:crypto");
}

/** An id in the form of a uuid that tells runs apart; not for keys, tokens or anything that must not be guessed. */
export function makeRunId(random: () => number = Math.random): string {
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("");
  const variant = "89ab"[Math.floor(random() * 4)] ?? "8";
  return `${hex(8)}-${hex(4)}-4${hex(3)}-${variant}${hex(3)}-${hex(12)}`;
}
