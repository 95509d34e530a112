import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe } from "vitest";

/** The official SkyPilot 0.14.1, by its Python interpreter. */
export interface Reference {
  readonly python: string;
  readonly sky: string;
}

/**
 * Finds the official client by `SKY_REFERENCE_PYTHON` (the `python` of a virtual environment that holds skypilot 0.14.1).
 * Undefined when it is not set; throws when it is, but holds no client, or when `SKY_REQUIRE_E2E` wants one.
 */
export function findReference(): Reference | undefined {
  const python = process.env["SKY_REFERENCE_PYTHON"] ?? "";
  if (python === "") {
    if (isE2eRequired()) throw new Error("SKY_REQUIRE_E2E is set, but SKY_REFERENCE_PYTHON is not.");
    return undefined;
  }
  const sky = join(dirname(python), "sky");
  if (!existsSync(sky)) throw new Error(`SKY_REFERENCE_PYTHON is ${python}, but there is no ${sky}.`);
  return { python, sky };
}

/** Whether a test that cannot run here has to fail instead of being skipped. */
export function isE2eRequired(): boolean {
  return (process.env["SKY_REQUIRE_E2E"] ?? "") !== "";
}

/** Groups tests that need the official client: skipped without one, unless `SKY_REQUIRE_E2E` is set. */
export function describeWithReference(name: string, body: (reference: Reference) => void): void {
  const reference = findReference();
  if (reference === undefined) {
    describe.skip(`${name} (set SKY_REFERENCE_PYTHON to run it)`, () => {
      body({ python: "python3", sky: "sky" });
    });
  } else {
    describe(name, () => {
      body(reference);
    });
  }
}
