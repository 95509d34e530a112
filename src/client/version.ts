/** What this client says of itself, and what it can talk to. */
export const CLIENT_VERSION = "0.14.1";
export const CLIENT_COMMIT = "7e595970a806dcc9eefadf459f399edf1733e962";
export const API_VERSION = 62;
export const MIN_COMPATIBLE_API_VERSION = 24;
export const MIN_COMPATIBLE_VERSION = "0.11.0";
