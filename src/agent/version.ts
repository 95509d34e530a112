/** Version of this bundle: the package's. */
export const AGENT_VERSION = "0.14.1";
