import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StreamDecoder, type StreamEvent } from "./stream-decoder.ts";

function control(text: string): string {
  return `<sky-payload>${JSON.stringify(text)}</sky-payload>\n`;
}

function decode(chunks: readonly Buffer[]): { events: StreamEvent[]; decoder: StreamDecoder } {
  const decoder = new StreamDecoder();
  const events = chunks.flatMap((chunk) => decoder.push(chunk));
  events.push(...decoder.end());
  return { events, decoder };
}

function textOf(events: readonly StreamEvent[]): Buffer {
  return Buffer.concat(events.flatMap((event) => (event.kind === "text" ? [event.bytes] : [])));
}

function split(data: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (data.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => data.subarray(from, places[index] ?? data.length));
}

describe("StreamDecoder", () => {
  test("separates spinner control from text", () => {
    const { events } = decode([
      Buffer.from(
        `a\n${control("<rich_init>[bold cyan]Launching[/]</rich_init>")}${control("<rich_exit></rich_exit>")}b`,
      ),
    ]);
    expect(events.filter((event) => event.kind === "spinner")).toEqual([
      { kind: "spinner", action: "init", message: "[bold cyan]Launching[/]" },
      { kind: "spinner", action: "exit", message: "" },
    ]);
    expect(textOf(events).toString()).toBe("a\nb");
  });

  test("a heartbeat does not count as bytes of the file", () => {
    const spinner = control("<rich_start></rich_start>");
    const { decoder, events } = decode([Buffer.from(`x\n${control("<heartbeat></heartbeat>")}${spinner}y\n`)]);
    expect(decoder.fileBytes).toBe(4 + spinner.length);
    expect(decoder.textBytes).toBe(4);
    expect(textOf(events).toString()).toBe("x\ny\n");
  });

  test("passes an unfinished line on at once", () => {
    const decoder = new StreamDecoder();
    expect(textOf(decoder.push(Buffer.from("50%"))).toString()).toBe("50%");
    expect(textOf(decoder.push(Buffer.from("\r60%"))).toString()).toBe("\r60%");
  });

  test("holds back only what may become a control line", () => {
    const decoder = new StreamDecoder();
    expect(textOf(decoder.push(Buffer.from("a\n<sky-pay"))).toString()).toBe("a\n");
    expect(textOf(decoder.push(Buffer.from("ment\n"))).toString()).toBe("<sky-payment\n");
  });

  test("a tag inside a line is text", () => {
    const line = `x ${control("<heartbeat></heartbeat>")}`;
    expect(textOf(decode([Buffer.from(line)]).events).toString()).toBe(line);
  });

  test("a control line with a type, and one that nobody knows, are dropped from the text", () => {
    const { events } = decode([
      Buffer.from(`<sky-payload{rich}>"<rich_stop></rich_stop>"</sky-payload>\n${control("?")}z`),
    ]);
    expect(events.map((event) => event.kind)).toEqual(["spinner", "text"]);
  });

  test("tells the closing status and a retry", () => {
    const { events } = decode([
      Buffer.from(control("<job_finished>FAILED</job_finished>") + control("<retry></retry>")),
    ]);
    expect(events).toEqual([{ kind: "job-finished", status: "FAILED" }, { kind: "retry" }]);
  });

  test("any cut of any stream gives the same text and the same counts", () => {
    const piece = fc.oneof(
      fc.constantFrom("\n", "\r", "\r\n", "<sky-payload", "<sky", "é", "end\n"),
      fc.string(),
      fc.constantFrom(control("<heartbeat></heartbeat>"), control("<rich_update>é</rich_update>")),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 6 }), (pieces, cuts) => {
        const data = Buffer.from(pieces.join(""));
        const whole = decode([data]);
        const parts = decode(split(data, cuts));
        expect(textOf(parts.events).equals(textOf(whole.events))).toBe(true);
        expect(parts.decoder.fileBytes).toBe(whole.decoder.fileBytes);
        expect(parts.decoder.textBytes).toBe(whole.decoder.textBytes);
      }),
      { numRuns: 500 },
    );
  });
});
