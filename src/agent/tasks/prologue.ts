import { shellQuote } from "../../shared/shell-quote.ts";

/**
 * What runs before every setup and run script, in the order users rely on. Three lines are ours: a TERM trap, because an interactive bash
 * ignores TERM and would go on with the next line after a cancel; no history, because an interactive bash takes the `!` in "hi!" for
 * it and would save the script's lines, secrets included; and stderr joined only here, so that bash's own two warnings about the missing terminal are not logged.
 */
const PROLOGUE = `#!/bin/bash
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
`;

/** Builds the file that bash runs for a task. Names in `env` must be valid variable names. */
export function renderTaskScript(script: string, env: Readonly<Record<string, string>>): string {
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${shellQuote(value)}\n`);
  return `${PROLOGUE}${exports.join("")}unset RAY_RAYLET_PID;\n${script}\n`;
}

/** What bash accepts as a variable's name. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Variables of the agent's own environment that its tasks get; everything else of it is not theirs to see. */
const PASSED_ON = [
  "PATH",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "LD_LIBRARY_PATH",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "SSL_CERT_FILE",
  "SKY_RUNTIME_DIR",
];

/** The environment in which a node's processes start. */
export function baseEnvironment(
  agentEnv: Readonly<Record<string, string | undefined>>,
  home: string,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(agentEnv)) {
    if (value !== undefined && (PASSED_ON.includes(name) || name.startsWith("LC_"))) env[name] = value;
  }
  env["HOME"] = home;
  env["PATH"] ??= "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return env;
}
