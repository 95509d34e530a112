import { appendFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { RunLog, type RunLogOptions } from "./run-log.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

function createOptions(raw: Readonly<Record<string, string>> = {}): RunLogOptions {
  const directory = mkdtempSync(join(tmpdir(), "run-log-"));
  directories.push(directory);
  return {
    path: join(directory, "logs", "run.log"),
    indexPath: join(directory, "jobs", "run.idx"),
    readRaw: (source, from, to) => Promise.resolve(Buffer.from(raw[source] ?? "").subarray(from, to)),
  };
}

const read = (options: RunLogOptions): string => readFileSync(options.path, "utf8");

test("sources are mixed by lines; an unfinished line of one is ended before another speaks", async () => {
  const options = createOptions();
  const log = await RunLog.open(options);
  const a = log.openSource("a", "A ");
  const b = log.openSource("b", "B ");
  a.push(Buffer.from("one\ntw"));
  b.push(Buffer.from("uno\n"));
  a.push(Buffer.from("o\n"));
  a.push(Buffer.from("x".repeat(70_000)));
  b.push(Buffer.from("dos\n"));
  a.push(Buffer.from("yz\n"));
  b.push(Buffer.from("tres"));
  b.end();
  log.appendStep("end", "the end\n");
  expect(read(options)).toBe(`A one\nB uno\nA two\nA ${"x".repeat(70_000)}\nB dos\nA yz\nB tres\nthe end\n`);
  expect(log.size).toBe(read(options).length);
});

test("steps are logged once, also across restarts", async () => {
  const options = createOptions();
  (await RunLog.open(options)).appendStep("start", "started\n");
  const again = await RunLog.open(options);
  again.appendStep("start", "started\n");
  expect(read(options)).toBe("started\n");
});

test("a crash at any byte of an append, or in the index, loses and repeats nothing", async () => {
  const chunks = fc.array(
    fc.record({
      source: fc.constantFrom("a", "b"),
      text: fc.array(fc.constantFrom("x", "yy", "\n", "\r", "\r\n", "z".repeat(66_000)), { maxLength: 4 }),
      cut: fc.option(fc.nat({ max: 100 }), { nil: undefined }),
      isIndexCut: fc.boolean(),
    }),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(chunks, async (steps) => {
      const raw: Record<string, string> = { a: "", b: "" };
      for (const { source, text } of steps) raw[source] = `${raw[source] ?? ""}${text.join("")}`;
      const options = createOptions(raw);
      const written: Record<string, number> = { a: 0, b: 0 };
      let log = await RunLog.open(options);
      let open: Record<string, ReturnType<RunLog["openSource"]>> = {};
      let longest = "";
      const reopen = async (): Promise<void> => {
        log = await RunLog.open(options);
        open = {};
        for (const name of ["a", "b"]) {
          const { offset } = log.sourceState(name);
          const source = log.openSource(name, `${name}> `);
          open[name] = source;
          source.push(Buffer.from(raw[name] ?? "").subarray(offset, written[name]));
        }
      };
      await reopen();
      for (const { source, text, cut, isIndexCut } of steps) {
        const before = log.size;
        written[source] = (written[source] ?? 0) + text.join("").length;
        open[source]?.push(Buffer.from(text.join("")));
        const now = read0(options);
        expect(now.startsWith(longest)).toBe(true);
        longest = now;
        if (cut === undefined) continue;
        // The process dies inside the append: some of its bytes are there, or the record after it is half written.
        if (isIndexCut) appendFileSync(options.indexPath, '{"at":12');
        else if (log.size > before) truncateSync(options.path, before + Math.floor(((log.size - before) * cut) / 101));
        await reopen();
        expect(read0(options).startsWith(longest)).toBe(true);
      }
      for (const name of ["a", "b"]) open[name]?.end();
      const final = read0(options);
      for (const name of ["a", "b"]) expect(onlyOf(final, name)).toBe(plain(raw[name] ?? ""));
    }),
    { numRuns: 60 },
  );
});

/** What one source wrote, with prefixes and line ends taken out: the bytes that must all be there, once, in order. */
function onlyOf(log: string, name: string): string {
  return log.split(/(?<=[\n\r])/).reduce(
    (state, line) => {
      const owner = /^([ab])> /.exec(line)?.[1] ?? state.owner;
      const body = line.replace(/^[ab]> /, "").replace(/[\r\n]/g, "");
      return { owner, text: owner === name ? state.text + body : state.text };
    },
    { owner: "", text: "" },
  ).text;
}

function plain(raw: string): string {
  return raw.replaceAll(/[\r\n]/g, "");
}

function read0(options: RunLogOptions): string {
  try {
    return read(options);
  } catch {
    return "";
  }
}

test("raw output that is gone with its node ends the cut line", async () => {
  const options = { ...createOptions(), readRaw: () => Promise.resolve(undefined) };
  const log = await RunLog.open(options);
  log.openSource("w", "W ").push(Buffer.from("hello\n"));
  truncateSync(options.path, 4);
  await RunLog.open(options);
  expect(read(options)).toBe("W he\n");
});

test("the index stays small", async () => {
  const options = createOptions();
  const log = await RunLog.open(options);
  const source = log.openSource("a", "A ");
  for (let line = 0; line < 5000; line += 1) source.push(Buffer.from(`line ${line}\n`));
  expect(readFileSync(options.indexPath).length).toBeLessThan(300 * 1024);
  const again = await RunLog.open(options);
  expect(again.sourceState("a").offset).toBe(log.sourceState("a").offset);
});

test("a full disk delays the log and loses nothing", async () => {
  const options = createOptions();
  const log = await RunLog.open(options);
  // /dev/full takes no byte.
  symlinkSync("/dev/full", options.path);
  const source = log.openSource("a", "A ");
  source.push(Buffer.from("one\n"));
  expect(() => source.push(Buffer.from("two\nthr"))).toThrow("ENOSPC");
  expect(() => source.push(Buffer.alloc(0))).toThrow("ENOSPC");
  expect(() => log.appendStep("step", "step\n")).toThrow("ENOSPC");
  rmSync(options.path);
  source.push(Buffer.from("ee\n"));
  log.appendStep("step", "step\n");
  expect(read(options)).toBe("A one\nA two\nA three\nstep\n");
});

test("the latest bytes are at hand for followers", async () => {
  const options = createOptions();
  const log = await RunLog.open(options);
  let calls = 0;
  const stop = log.onGrowth(() => (calls += 1));
  log.appendStep("one", "one\n");
  log.appendStep("two", "two\n");
  expect(log.recent(2)?.toString()).toBe("e\n");
  expect(log.recent(4)?.toString()).toBe("two\n");
  expect(log.recent(8)).toBeUndefined();
  stop();
  log.appendStep("three", "three\n");
  expect(calls).toBe(2);
});
