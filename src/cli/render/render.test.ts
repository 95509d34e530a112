import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Output } from "../context.ts";
import { ColorFilter } from "./color-filter.ts";
import { makeColors } from "./colors.ts";
import { renderMarkup } from "./markup.ts";
import { Spinner } from "./spinner.ts";
import { renderTable, widthOf } from "./table.ts";
import { durationBetween, renderAgo, renderDuration } from "./time.ts";

describe("renderAgo", () => {
  test.each([
    [0.4, "< 1 sec"],
    [1, "1 sec ago"],
    [5, "5 secs ago"],
    [60, "1 min ago"],
    [150, "2 mins ago"],
    [3600, "1 hr ago"],
    [2 * 86_400, "2 days ago"],
    [7 * 86_400, "1 week ago"],
    [31 * 86_400, "1 month ago"],
    [400 * 86_400, "1 year ago"],
  ])("%s seconds", (seconds, text) => {
    expect(renderAgo(1_000_000, 1_000_000 + seconds)).toBe(text);
  });

  test("a moment that is not known", () => {
    expect([renderAgo(null, 5), renderAgo(undefined, 5), renderAgo(0, 5)]).toEqual(["-", "-", "-"]);
  });
});

describe("renderDuration", () => {
  test.each([
    [0.5, "< 1s"],
    [59, "59s"],
    [61, "1m 1s"],
    [7300, "2h 1m 40s"],
    [2 * 86_400, "2d"],
    [9 * 86_400, "1w 2d"],
    [39 * 86_400, "1mo 1w 2d"],
  ])("%s seconds", (seconds, text) => {
    expect(renderDuration(seconds)).toBe(text);
  });

  test("the parts add up to the whole", () => {
    const size: Record<string, number> = { y: 31_536_000, mo: 2_592_000, w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 9 }), (seconds) => {
        const parts = renderDuration(seconds).split(" ");
        const sum = parts.reduce(
          (total, part) => total + Number.parseInt(part, 10) * (size[part.replace(/\d+/, "")] ?? 0),
          0,
        );
        expect(sum).toBe(seconds);
      }),
    );
  });

  test("a job that has not started, and one that runs", () => {
    expect(durationBetween(null, null, 100)).toBe("-");
    expect(durationBetween(40, null, 100)).toBe("1m");
    expect(durationBetween(40, 50, 100)).toBe("10s");
  });
});

describe("renderTable", () => {
  test("pads by what is seen, not by what is sent", () => {
    const table = renderTable(
      ["NAME", "X"],
      [
        ["\u001B[32mUP\u001B[0m", "1"],
        ["日本", "22"],
        ["é", ""],
      ],
    );
    expect(table.split("\n").map((line) => widthOf(line))).toEqual([10, 10, 10, 10]);
    expect(table.split("\n")[2]).toBe("日本  22  ");
    expect(renderTable(["A"], [])).toBe("");
  });
});

describe("colours", () => {
  test.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: "1" }, true, false],
    [{ NO_COLOR: "" }, true, true],
    [{ FORCE_COLOR: "1" }, false, true],
    [{ FORCE_COLOR: "0" }, false, false],
    [{ TERM: "dumb" }, true, false],
    [{ NO_COLOR: "1", FORCE_COLOR: "1" }, true, false],
  ])("%j on a terminal: %s", (env, isTTY, enabled) => {
    expect(makeColors(env, isTTY).enabled).toBe(enabled);
  });

  test("markup of messages becomes codes, or goes", () => {
    expect(renderMarkup("[bold cyan]Launching[/] x", true)).toBe("\u001B[1;36mLaunching\u001B[0m x");
    expect(renderMarkup("[bold cyan]Launching[/bold cyan] [1/2] \\[x]", false)).toBe("Launching [1/2] [x]");
  });

  test("codes are taken out wherever the text is cut", () => {
    const text = Buffer.from("a\u001B[32mgrün\u001B[0m\u001B[?25h b\u001B[1;36mc\n");
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 5 }), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        const filter = new ColorFilter();
        const parts = places.slice(1).map((end, index) => filter.push(text.subarray(places[index], end)));
        expect(Buffer.concat(parts).toString()).toBe("agrün bc\n");
      }),
    );
  });
});

describe("Spinner", () => {
  test("draws on a terminal only, in one line", () => {
    for (const isTTY of [true, false]) {
      let drawn = "";
      const out: Output = {
        write: (text) => ((drawn += text.toString()), true),
        isTTY,
        columns: 20,
        drained: () => Promise.resolve(),
      };
      const spinner = new Spinner(out, false);
      spinner.start("[bold]Launching[/]");
      spinner.update("a message that is longer than the terminal is wide");
      spinner.stop();
      if (isTTY) {
        expect(drawn).toContain(" Launching");
        expect(drawn.endsWith("\r\u001B[2K")).toBe(true);
        for (const frame of drawn.split("\r\u001B[2K")) expect(frame.length).toBeLessThan(20);
      } else expect(drawn).toBe("");
    }
  });
});
