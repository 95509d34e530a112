import { pino, type Logger as PinoLogger } from "pino";

/** Structured log of a long-lived program: one JSON line per event on stdout. */
export type Logger = PinoLogger;

const REDACTED_PATHS = [
  "authorization",
  "cookie",
  "token",
  "password",
  "secret",
  "*.authorization",
  "*.cookie",
  "*.token",
  "*.password",
  "*.secret",
];

/** `level`: pino's names (`info`, `debug`, `silent` …). Writes synchronously, so that a crash loses no line. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      redact: { paths: REDACTED_PATHS, censor: "<redacted>" },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ fd: 1, sync: true }),
  );
}
