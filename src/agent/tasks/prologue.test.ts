import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { baseEnvironment, isVariableName, renderTaskScript } from "./prologue.ts";
import { shellQuote } from "../../shared/shell-quote.ts";

test("the script is the prologue, the exports, the user's lines", () => {
  expect(renderTaskScript("echo $A\nexit 3", { A: "it's", B: "x y" })).toMatchInlineSnapshot(`
    "#!/bin/bash
    trap 'exit 143' TERM
    set +H
    exec 2>&1
    if [ -f ~/.bashrc ]; then source ~/.bashrc; fi
    set +o history; unset HISTFILE
    if [ -z "$CONDA_EXE" ] && command -v conda >/dev/null 2>&1; then CONDA_EXE="$(conda info --base 2>/dev/null)/bin/conda"; fi
    if [ -n "$CONDA_EXE" ] && [ -f "\${CONDA_EXE%/bin/conda}/etc/profile.d/conda.sh" ]; then
    set -a; . "\${CONDA_EXE%/bin/conda}/etc/profile.d/conda.sh" >/dev/null 2>&1; set +a
    fi
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
    if [ -z "$CONDA_PREFIX" ] && [ -f ~/sky-user-env/bin/activate ]; then . ~/sky-user-env/bin/activate; fi
    export PYTHONUNBUFFERED=1
    cd ~/sky_workdir
    export A='it'"'"'s'
    export B='x y'
    unset RAY_RAYLET_PID;
    echo $A
    exit 3
    "
  `);
});

test("quoted text is one word to a shell, whatever is in it", () => {
  const texts = fc.array(
    fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", "")),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(texts, (words) => {
      const script = `printf '%s\\0' ${words.map(shellQuote).join(" ")}`;
      const expected = words.length === 0 ? "\0" : words.map((word) => `${word}\0`).join("");
      expect(execFileSync("sh", ["-c", script]).toString()).toBe(Buffer.from(expected).toString());
    }),
    { numRuns: 10 },
  );
});

test("names of variables", () => {
  expect(["A", "_x1", "lower"].every(isVariableName)).toBe(true);
  expect(["", "1A", "A B", "A-B", "A=B", "Ä", "A\n"].some(isVariableName)).toBe(false);
});

test("tasks get of the agent's environment only what is theirs", () => {
  const env = baseEnvironment(
    { PATH: "/bin", AWS_SECRET_ACCESS_KEY: "x", LC_ALL: "C", LANG: undefined, HOME: "/root" },
    "/h",
  );
  expect(env).toEqual({ PATH: "/bin", LC_ALL: "C", HOME: "/h" });
  expect(baseEnvironment({}, "/h")["PATH"]).toContain("/usr/bin");
});
