import { expect, test } from "vitest";
import { LastAsked } from "./last-asked.ts";

test("who asks last decides when it is done, sooner or later than was asked before", async () => {
  const last = new LastAsked<string>();
  const done: string[] = [];
  const waits = new Map(["a", "b", "c"].map((name) => [name, Promise.withResolvers<string>()]));
  const ask = (name: string): Promise<string> =>
    last.ask(
      () => waits.get(name)?.promise ?? Promise.reject(new Error(name)),
      (waited) => {
        done.push(waited);
        return Promise.resolve(`done by ${waited}`);
      },
    );
  const asked = ["a", "b", "c"].map(ask);
  waits.get("a")?.resolve("a");
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toEqual([]);
  waits.get("c")?.resolve("c");
  // The wait of `b` goes on, and nobody minds.
  await expect(asked[0]).resolves.toBe("done by c");
  await expect(asked[2]).resolves.toBe("done by c");
  waits.get("b")?.resolve("b");
  await expect(asked[1]).resolves.toBe("done by c");
  expect(done).toEqual(["c"]);
});
