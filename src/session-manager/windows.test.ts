import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReceiveOrder } from "./receive-order.ts";
import { SendWindow } from "./send-window.ts";

describe("what was sent", () => {
  const frame = (number: number): Uint8Array => Uint8Array.of(number);

  it("is sent again after a time that follows from how long answers take", () => {
    const window = new SendWindow(10);
    window.add(frame(0), 0);
    expect(window.takeDue(199, 10)).toEqual([]);
    expect(window.takeDue(200, 10)).toEqual([frame(0)]);
    // Twice as long after each repetition.
    expect(window.takeDue(500, 10)).toEqual([]);
    expect(window.takeDue(600, 10)).toEqual([frame(0)]);
    expect(window.acknowledge(0, 610)).toBe(true);
    expect(window.acknowledge(0, 610)).toBe(false);
    // An answer to what was sent twice says nothing about time.
    expect(window.timeoutMs).toBe(200);
    for (let number = 1; number < 30; number += 1) {
      window.add(frame(number), number * 1000);
      window.acknowledge(number, number * 1000 + 40);
    }
    expect(window.timeoutMs).toBeGreaterThanOrEqual(50);
    expect(window.timeoutMs).toBeLessThan(60);
  });

  it("is sent again at once when three later ones have arrived", () => {
    const window = new SendWindow(10);
    for (const number of [0, 1, 2, 3]) window.add(frame(number), number);
    window.acknowledge(1, 10);
    window.acknowledge(2, 11);
    expect(window.takeDue(12, 10)).toEqual([]);
    window.acknowledge(3, 12);
    expect(window.takeDue(13, 10)).toEqual([frame(0)]);
    expect(window.takeDue(14, 10)).toEqual([]);
  });

  it("is sent again as a whole on a new connection, and stalls without any answer", () => {
    const window = new SendWindow(2);
    window.add(frame(0), 0);
    window.add(frame(1), 5);
    expect(window.isFull).toBe(true);
    window.expireAll(10);
    expect(window.takeDue(10, 1)).toEqual([frame(0)]);
    expect(window.takeDue(10, 9)).toEqual([frame(1)]);
    expect(window.stalledMs(400_010)).toBe(400_000);
    window.acknowledge(1, 400_010);
    expect(window.stalledMs(400_011)).toBe(1);
    window.acknowledge(0, 400_020);
    expect(window.stalledMs(999_999)).toBe(0);
  });
});

describe("what is received", () => {
  it("comes out in order and once, whatever the order and number of copies", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 300 }), (arrivals) => {
        const order = new ReceiveOrder<number>(1000);
        const all = [...arrivals, ...Array.from({ length: 31 }, (_, number) => number)];
        const out = all.flatMap((number) => order.accept(number, number).ready);
        expect(out).toEqual(Array.from({ length: 31 }, (_, number) => number));
      }),
    );
  });

  it("is not kept when it is too far ahead, and said to be kept when it came before", () => {
    const order = new ReceiveOrder<string>(2);
    expect(order.accept(2, "c")).toEqual({ isKept: false, ready: [] });
    expect(order.accept(1, "b")).toEqual({ isKept: true, ready: [] });
    expect(order.accept(0, "a")).toEqual({ isKept: true, ready: ["a", "b"] });
    expect(order.accept(0, "a")).toEqual({ isKept: true, ready: [] });
    expect(order.expected).toBe(2);
  });
});
