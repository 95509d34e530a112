import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A temporary HOME with real AWS files. */
export interface AwsHome {
  readonly path: string;
  /** Writes a file below HOME, folders included. */
  write(name: string, text: string): string;
  remove(): void;
}

export function makeAwsHome(): AwsHome {
  const path = mkdtempSync(join(tmpdir(), "aws-home-"));
  return {
    path,
    write: (name, text) => {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
