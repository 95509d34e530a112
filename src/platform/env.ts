/** Environment variables that the client side reads. Everything else of the environment is left alone. */

export type Env = Readonly<Record<string, string | undefined>>;

interface Variable {
  readonly type: "text" | "flag" | "port" | "path";
  readonly meaning: string;
}

export const clientVariables = {
  SKYPILOT_API_SERVER_ENDPOINT: { type: "text", meaning: "URL of the API server; wins over api_server.endpoint." },
  SKYPILOT_API_SERVER_LOCAL_PORT: { type: "port", meaning: "Port of the local API server (46580)." },
  SKYPILOT_DISABLE_LOCAL_API_SERVER: { type: "flag", meaning: "Never start a local API server." },
  SKYPILOT_SERVICE_ACCOUNT_TOKEN: { type: "text", meaning: "Bearer token; wins over the config." },
  SKYPILOT_API_COOKIE_FILE: { type: "path", meaning: "Cookies of an auth proxy (~/.sky/cookies.txt)." },
  SKYPILOT_CLIENT_TYPE: { type: "text", meaning: "Sent as X-SkyPilot-Client-Type." },
  SKYPILOT_USER_ID: { type: "text", meaning: "User hash to send instead of the one in ~/.sky/user_hash." },
  SKYPILOT_USER: { type: "text", meaning: "User name to send instead of the login name." },
  SKYPILOT_USAGE_RUN_ID: {
    type: "text",
    meaning: "Id of the run that a request belongs to; new for each client unless set.",
  },
  SKYPILOT_DEBUG: { type: "flag", meaning: "Show error classes and stacks." },
  SKYPILOT_GLOBAL_CONFIG: { type: "path", meaning: "User config file instead of ~/.sky/config.yaml." },
  SKYPILOT_PROJECT_CONFIG: { type: "path", meaning: "Project config file instead of ./.sky.yaml." },
  NO_COLOR: { type: "text", meaning: "Not empty: no colours." },
  FORCE_COLOR: { type: "text", meaning: "Not empty and not 0: colours even without a terminal." },
  _SKY_COMPLETE: { type: "text", meaning: "Set by the shell when it asks for completions." },
  SHELL: { type: "path", meaning: "The shell that `--install-shell-completion auto` looks at." },
  HOME: { type: "path", meaning: "The user's home directory." },
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof clientVariables;

/** Reads a variable; empty means not set. */
export function readVariable(env: Env, name: VariableName): string | undefined {
  const value = env[name];
  return value === undefined || value === "" ? undefined : value;
}

/** Reads a flag: `1` and `true` (any case) are on. */
export function isSet(env: Env, name: VariableName): boolean {
  return /^(1|true)$/i.test(env[name] ?? "");
}

/** The environment of this process, for main files and defaults of the public SDK. */
export function processEnv(): Env {
  return process.env;
}
