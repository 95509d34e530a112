import { expect, test } from "vitest";
import type { UploadWait } from "../../shared/agent/upload-wait.ts";
import { lastFlush, tooLate, type LeavingMount } from "./last-flush.ts";

const SPEC = { dest: "~/ckpt", bucket: "b", prefix: "run" };

/** A mount that never gets rid of what waits, nor says that nothing does. */
function stuck(hasUnsent: () => Promise<boolean>): LeavingMount {
  const flush = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  return { spec: SPEC, flush, hasUnsent };
}

function mountThat(flush: LeavingMount["flush"]): LeavingMount {
  return { spec: SPEC, flush, hasUnsent: () => Promise.resolve(true) };
}

test("nothing is said of what is in the bucket", async () => {
  await expect(
    lastFlush(
      mountThat(() => Promise.resolve()),
      "unlimited",
    ),
  ).resolves.toBeUndefined();
});

test("who does not wait hears what is not sent", async () => {
  const said = lastFlush(
    stuck(() => Promise.resolve(true)),
    0,
  );
  await expect(said).resolves.toBe("What was written to ~/ckpt is not all in s3://b/run.");
});

test("who does not wait hears nothing where nothing waits", async () => {
  const said = lastFlush(
    stuck(() => Promise.resolve(false)),
    0,
  );
  await expect(said).resolves.toBeUndefined();
});

test("what cannot be looked at counts as unsent", async () => {
  const said = lastFlush(
    stuck(() => Promise.reject(new Error("EACCES"))),
    0,
  );
  await expect(said).resolves.toContain("is not all in");
});

test.each<[UploadWait | undefined, string]>([
  [1, "within 1 second."],
  [90, "within 90 seconds."],
  [60, "within 1 minute."],
  [undefined, "within 10 minutes."],
])("a wait of %s is named", (wait, text) => {
  expect(tooLate(SPEC, wait)).toBe(`What was written to ~/ckpt could not all be sent to s3://b/run ${text}`);
});

test("what is refused ends a wait without a limit", async () => {
  const refused = mountThat(() => Promise.reject(new Error("What was written to ~/ckpt is not in s3://b: denied.")));
  await expect(lastFlush(refused, "unlimited")).resolves.toBe("What was written to ~/ckpt is not in s3://b: denied.");
});
