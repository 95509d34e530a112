import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDotenv } from "./dotenv.ts";

describe("parseDotenv", () => {
  it.each<[string, Record<string, string | null>]>([
    ["A=1", { A: "1" }],
    ["export A=1\n export  B = 2 ", { A: "1", B: "2" }],
    ["# c\n\nA=1 # tail\nB=x#y", { A: "1", B: "x#y" }],
    ["A='a b # c'\nB=\"x\\ty\\n\"", { A: "a b # c", B: "x\ty\n" }],
    ['A="line1\nline2"\nB=2', { A: "line1\nline2", B: "2" }],
    ["A=1\nB=${A}2\nC='${A}'\nD=${NOPE:-d}\nE=${NOPE}", { A: "1", B: "12", C: "${A}", D: "d", E: "" }],
    ["A\nB=", { A: null, B: "" }],
    ["A=1\nA=2", { A: "2" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ['A="unclosed\nB=2', { B: "2" }],
    ["not an assignment\nA=1", { A: "1" }],
    ["A=a=b=c", { A: "a=b=c" }],
    ["A=$HOME", { A: "$HOME" }],
  ])("%j", (text, expected) => {
    expect(Object.fromEntries(parseDotenv(text))).toEqual(expected);
  });

  it("interpolates from the environment", () => {
    expect(parseDotenv("A=${HOME}/x", { env: { HOME: "/root" } }).get("A")).toBe("/root/x");
  });

  it("keeps any value in single quotes", () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const quoted = value.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\r", "");
        expect(parseDotenv(`A='${quoted}'\nB=1`).get("A")).toBe(value.replaceAll("\r", ""));
      }),
    );
  });

  it("ends on every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("A", "=", "'", '"', "\\", "\n", " ", "#", "${", "}") }), (text) => {
        expect(parseDotenv(text)).toBeInstanceOf(Map);
      }),
    );
  });
});
