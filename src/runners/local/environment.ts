/** Environment variable that every process of a local node carries: the node's directory. */
export const NODE_MARKER = "SKYPILOT_LOCAL_NODE";

const PASSED_ON = [
  "PATH",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TERM",
  "SHELL",
  "USER",
  "LOGNAME",
  "TMPDIR",
  "LD_LIBRARY_PATH",
  "CUDA_HOME",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  // How to reach the machine's container engine.
  "XDG_RUNTIME_DIR",
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "CONTAINER_HOST",
  "CONTAINERS_CONF",
  "CONTAINERS_STORAGE_CONF",
  "CONTAINERS_REGISTRIES_CONF",
] as const;

/**
 * What a node on this machine sees of the server's environment: how to find programs, the locale and proxies. Not its
 * credentials and settings: a fresh machine would not have them either.
 */
export function nodeEnvironment(
  server: Readonly<Record<string, string | undefined>>,
  node: { readonly directory: string; readonly home: string },
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(server)) {
    const isPassed = (PASSED_ON as readonly string[]).includes(name) || name.startsWith("LC_");
    if (isPassed && value !== undefined) environment[name] = value;
  }
  return { ...environment, HOME: node.home, [NODE_MARKER]: node.directory };
}
