import { defineConfig } from "vitest/config";

/** `expect.poll` waits for what comes in the end, on a busy machine, too: not for one second, which is the default. */
const POLL = { poll: { timeout: 60_000 } };

export default defineConfig({
  test: {
    reporters: ["default", "./test/summary-reporter.ts"],
    projects: [
      {
        // Unit tests run unisolated: 0.55 s instead of 5.2 s of CPU for 60 files.
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/architecture/**/*.test.ts", "test/contract/**/*.test.ts"],
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: POLL,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          expect: POLL,
          fileParallelism: false,
        },
      },
    ],
  },
});
