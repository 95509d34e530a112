/** Version constants of the protocol; every response carries the first two as headers. */
export const API_VERSION = 62;
export const MIN_COMPATIBLE_API_VERSION = 24;
export const MIN_COMPATIBLE_VERSION = "0.11.0";
export const SKYPILOT_VERSION = "0.14.1";
export const SKYPILOT_COMMIT = "7e595970a806dcc9eefadf459f399edf1733e962";
