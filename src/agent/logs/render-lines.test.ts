import * as fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_HELD_BYTES, renderableLength, renderLines } from "./render-lines.ts";

const render = (text: string, isAtLineStart = true): string =>
  renderLines(Buffer.from(text), { prefix: Buffer.from("P "), isAtLineStart }).toString();

test("each line gets the prefix; \\r ends a line; \\r\\n becomes \\n", () => {
  expect(render("a\nb\n")).toBe("P a\nP b\n");
  expect(render("10%\r20%\rdone\n")).toBe("P 10%\rP 20%\rP done\n");
  expect(render("a\r\nb\r\n\r\n")).toBe("P a\nP b\nP \n");
  expect(render("a\r\r\nb")).toBe("P a\rP \nP b");
  expect(render("\n\n")).toBe("P \nP \n");
  expect(render("")).toBe("");
});

test("the rest of a line gets no second prefix", () => {
  expect(render("rest\nnext\n", false)).toBe("rest\nP next\n");
  expect(render("\r\nnext\n", false)).toBe("\nP next\n");
});

test("bash's two warnings are dropped, lines like them are not", () => {
  const warnings =
    "bash: cannot set terminal process group (-1): Inappropriate ioctl for device\nbash: no job control in this shell\n";
  expect(render(`${warnings}hello\n`)).toBe("P hello\n");
  expect(render("bash: line 1: foo: command not found\n")).toBe("P bash: line 1: foo: command not found\n");
});

test("only whole lines are passed on; a \\r at the end waits for its \\n; long lines go in pieces", () => {
  const length = (text: string): number => renderableLength(Buffer.from(text), false);
  expect(length("abc")).toBe(0);
  expect(length("a\nbc")).toBe(2);
  expect(length("a\nb\r")).toBe(2);
  expect(length("a\rb\r")).toBe(2);
  expect(length("a\r\n")).toBe(3);
  expect(renderableLength(Buffer.from("abc\r"), true)).toBe(4);
  expect(renderableLength(Buffer.alloc(MAX_HELD_BYTES + 1, "x"), false)).toBe(MAX_HELD_BYTES + 1);
});

test("without prefix only \\r\\n changes, for any bytes", () => {
  const bytes = fc.array(fc.constantFrom(..."ab\r\n\0é".split("")), { maxLength: 60 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(bytes, (text) => {
      const rendered = renderLines(Buffer.from(text), { prefix: Buffer.alloc(0), isAtLineStart: true });
      expect(rendered.toString()).toBe(text.replaceAll("\r\n", "\n"));
    }),
  );
});
