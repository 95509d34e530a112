import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseControl, renderControl } from "../../shared/wire/control-lines.ts";
import { RequestLogFile } from "./request-log.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "request-log-"));
  path = join(directory, "requests", "r1.log");
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function open(options: { readonly isResumed?: boolean; readonly onGrow?: () => void } = {}): RequestLogFile {
  return new RequestLogFile(path, {
    isResumed: options.isResumed ?? false,
    onGrow: options.onGrow ?? ((): void => undefined),
  });
}

function lines(): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

/** The file with control lines in short. */
function events(): string[] {
  return lines().flatMap((line) => {
    const control = parseControl(line);
    if (control === undefined) return [line];
    if (control.kind === "start") return [];
    return ["message" in control ? `${control.kind} ${control.message}` : control.kind];
  });
}

test("nothing is written before there is something to say; the file is private", () => {
  let growth = 0;
  const log = open({ onGrow: () => (growth += 1) });
  expect(existsSync(path)).toBe(false);
  log.line("hello");
  log.line("two\nlines");
  expect(lines()).toEqual(["hello", "two", "lines"]);
  expect(growth).toBe(3);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  log.close();
});

test("a spinner begins, changes and ends, also when the operation forgets it", () => {
  const log = open();
  log.spin("[bold cyan]Launching[/]");
  log.spin("[bold cyan]Launching[/]");
  log.spin("waiting");
  log.line("up");
  log.spinEnd();
  log.spinEnd();
  log.spin("again");
  log.close("the end");
  expect(events()).toEqual([
    "init [bold cyan]Launching[/]",
    "update waiting",
    "up",
    "exit",
    "init again",
    "exit",
    "the end",
  ]);
});

test("an operation that runs again adds only what is new", () => {
  const first = open();
  first.spin("Launching");
  first.line("Considered resources");
  first.line("Instance is up");
  first.close();
  const second = open({ isResumed: true });
  second.spin("Launching");
  second.line("Considered resources");
  second.line("Instance is up");
  second.spinEnd();
  second.line("Job submitted");
  second.close();
  expect(events()).toEqual(["init Launching", "Considered resources", "Instance is up", "exit", "Job submitted"]);
});

test("steps that are not repeated leave a gap, and a line that is said twice is there twice", () => {
  const first = open();
  for (const line of ["a", "skipped", "b", "a"]) first.line(line);
  first.close();
  const second = open({ isResumed: true });
  for (const line of ["a", "b", "a", "a"]) second.line(line);
  second.close();
  expect(lines()).toEqual(["a", "skipped", "b", "a", "a"]);
});

test("a spinner that the crash left turning goes on", () => {
  open().spin("Launching");
  const second = open({ isResumed: true });
  second.spin("Waiting for SSH");
  second.close();
  expect(events()).toEqual(["init Launching", "update Waiting for SSH", "exit"]);
});

test("a line that the crash cut is completed, or ended", () => {
  const first = open();
  first.line("complete");
  first.line("cut in the middle");
  first.close();
  truncateSync(path, "complete\ncut in".length);
  const second = open({ isResumed: true });
  second.line("complete");
  second.line("cut in the middle");
  second.close();
  expect(lines()).toEqual(["complete", "cut in the middle"]);
  truncateSync(path, "complete\ncut".length);
  const third = open({ isResumed: true });
  third.line("something else");
  third.close();
  expect(lines()).toEqual(["complete", "cut", "something else"]);
  appendFileSync(path, "cut again");
  open({ isResumed: true }).spin("turning");
  expect(events()).toEqual(["complete", "cut", "something else", "cut again", "init turning"]);
});

test("wherever a crash comes, the second run ends with the log of an undisturbed one", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("line" as const), text: fc.stringMatching(/^[a-c ]{0,4}$/) }),
    fc.record({ kind: fc.constant("spin" as const), text: fc.constantFrom("x", "y") }),
    fc.constant({ kind: "end" as const, text: "" }),
  );
  const say = (log: RequestLogFile, steps: readonly { kind: "line" | "spin" | "end"; text: string }[]): void => {
    for (const { kind, text } of steps) {
      if (kind === "line") log.line(text);
      else if (kind === "spin") log.spin(text);
      else log.spinEnd();
    }
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.nat(), fc.boolean(), (steps, where, isByte) => {
      rmSync(path, { force: true });
      const whole = open();
      say(whole, steps);
      whole.close();
      const undisturbed = existsSync(path) ? readFileSync(path, "utf8") : "";
      const text = undisturbed
        .split("\n")
        .filter((line) => parseControl(line) === undefined)
        .join("\n");
      rmSync(path, { force: true });
      say(open(), steps.slice(0, where % (steps.length + 1)));
      // A crash can also come between two bytes of the last write.
      if (isByte && existsSync(path) && !readFileSync(path, "utf8").includes("sky-payload")) {
        truncateSync(path, where % (statSync(path).size + 1));
      }
      const before = existsSync(path) ? readFileSync(path, "utf8") : "";
      const again = open({ isResumed: true });
      say(again, steps);
      again.close();
      const after = existsSync(path) ? readFileSync(path, "utf8") : "";
      expect(after.startsWith(before)).toBe(true);
      expect(
        after
          .split("\n")
          .filter((line) => parseControl(line) === undefined)
          .join("\n"),
      ).toBe(text);
    }),
    { numRuns: 200 },
  );
});

test("control lines survive rendering and reading", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("init" as const, "update" as const),
      (message, kind) => {
        const line = renderControl({ kind, message });
        expect(line.trimEnd()).not.toContain("\n");
        expect(parseControl(line)).toEqual({ kind, message });
      },
    ),
  );
});

test("a disk that fills up in the middle of a line loses and repeats no byte", () => {
  let room = 7;
  const log = new RequestLogFile(path, {
    isResumed: false,
    onGrow: () => undefined,
    writeBytes: (fd, bytes) => {
      if (room === 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      const written = writeSync(fd, bytes, 0, Math.min(room, bytes.length));
      room -= written;
      return written;
    },
  });
  // The seventh byte is the first one of the two of an é.
  log.line("abcdefé one");
  expect(readFileSync(path)).toHaveLength(7);
  log.line("two");
  room = Number.POSITIVE_INFINITY;
  log.line("three");
  log.close();
  expect(lines()).toEqual(["abcdefé one", "two", "three"]);
});
