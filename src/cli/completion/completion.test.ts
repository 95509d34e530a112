import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sky, withHome } from "../../../test/fakes/run-cli.ts";
import { WireServer } from "../../../test/fakes/wire-server.ts";
import { splitWords } from "./split-words.ts";

let server: WireServer;
let asked: string[];

beforeEach(async () => {
  asked = [];
  server = await WireServer.start({
    routes: {
      "GET /api/completion/cluster_name": (call, response) => {
        asked.push(call.query.get("incomplete") ?? "");
        response.end(JSON.stringify(["dev", "prod"]));
        return undefined;
      },
    },
  });
});

afterEach(async () => {
  await server.stop();
});

async function complete(line: string, home?: string): Promise<readonly string[]> {
  const words = line.split(" ");
  const env = { _SKY_COMPLETE: "bash_complete", COMP_WORDS: line, COMP_CWORD: String(words.length - 1) };
  const { out } = await sky([], home === undefined ? { server, env } : { server, env, home });
  return out.split("\n").filter((text) => text !== "");
}

describe("completion", () => {
  test("commands, groups and hidden ones", async () => {
    expect(await complete("sky st")).toEqual(["plain,status", "plain,stop", "plain,start", "plain,storage"]);
    expect(await complete("sky api sta")).toEqual(["plain,start", "plain,status"]);
    expect(await complete("sky show")).toEqual([]);
    expect(await complete("sky --ver")).toEqual(["plain,--version"]);
  });

  test("options, their choices and directories", async () => {
    expect(await complete("sky launch --disk-")).toEqual(["plain,--disk-size", "plain,--disk-tier"]);
    expect(await complete("sky launch --disk-tier hi")).toEqual(["plain,high"]);
    expect(await complete("sky launch --workdir sr")).toEqual(["dir,sr"]);
    expect(await complete("sky launch --clo")).toEqual(["plain,--clone-disk-from", "plain,--clone"]);
    expect(await complete("sky --install-shell-completion z")).toEqual(["plain,zsh"]);
  });

  test("arguments: clusters from the server, files by the shell", async () => {
    expect(await complete("sky down de")).toEqual(["plain,dev"]);
    expect(await complete("sky exec dev tas")).toEqual(["file,tas"]);
    expect(await complete("sky launch -c p")).toEqual(["plain,prod"]);
    expect(await complete("sky logs -s dev 1")).toEqual([]);
  });

  test("names are remembered, and a server that is gone stops nothing", async () => {
    await withHome(async (home) => {
      expect(await complete("sky down ", home)).toEqual(["plain,dev", "plain,prod"]);
      await complete("sky down p", home);
      expect(asked).toEqual([""]);
    });
    const env = {
      _SKY_COMPLETE: "bash_complete",
      COMP_WORDS: "sky down ",
      COMP_CWORD: "2",
      SKYPILOT_API_SERVER_LOCAL_PORT: "1",
    };
    expect(await sky([], { env })).toEqual({ code: 0, out: "", err: "" });
  });

  test("zsh and fish have forms of their own", async () => {
    const zsh = { _SKY_COMPLETE: "zsh_complete", COMP_WORDS: "sky queu", COMP_CWORD: "1" };
    expect((await sky([], { env: zsh })).out).toBe("plain\nqueue\nShow the job queue of clusters.\n");
    const fish = { _SKY_COMPLETE: "fish_complete", COMP_WORDS: "sky queu", COMP_CWORD: "queu" };
    expect((await sky([], { env: fish })).out).toBe("plain,queue\tShow the job queue of clusters.\n");
    expect((await sky([], { env: { _SKY_COMPLETE: "tcsh_complete" } })).code).toBe(1);
  });
});

describe("splitWords", () => {
  test("reads words as a shell does", () => {
    expect(splitWords(`sky launch 'a b' "c \\" d" e\\ f --x="y z"`)).toEqual([
      "sky",
      "launch",
      "a b",
      'c " d',
      "e f",
      "--x=y z",
    ]);
    expect(splitWords("sky 'open quo")).toEqual(["sky", "open quo"]);
  });

  test("gives back any words that were quoted", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
        expect(splitWords(line)).toEqual(words);
      }),
    );
  });
});

describe("sky --install-shell-completion", () => {
  test("bash: once, and away again without a trace", async () => {
    await withHome(async (home) => {
      writeFileSync(join(home, ".bashrc"), "alias x=y\n");
      const first = await sky(["--install-shell-completion", "auto"], { home, env: { SHELL: "/bin/bash" } });
      expect(first).toMatchInlineSnapshot(`
        {
          "code": 0,
          "err": "",
          "out": "Shell completion installed for bash
        Completion will take effect once you restart the terminal: source ~/.bashrc
        ",
        }
      `);
      await sky(["--install-shell-completion", "bash"], { home });
      expect(readFileSync(join(home, ".bashrc"), "utf8")).toBe(
        "alias x=y\n\n# For SkyPilot shell completion\n. ~/.sky/.sky-complete.bash\n",
      );
      const script = readFileSync(join(home, ".sky/.sky-complete.bash"), "utf8");
      expect(execFileSync("bash", ["-n"], { input: script }).toString()).toBe("");
      expect((await sky(["--uninstall-shell-completion", "bash"], { home })).out).toMatchInlineSnapshot(`
        "Shell completion uninstalled for bash
        Changes will take effect once you restart the terminal: source ~/.bashrc
        "
      `);
      expect(readFileSync(join(home, ".bashrc"), "utf8")).toBe("alias x=y\n");
      expect(existsSync(join(home, ".sky/.sky-complete.bash"))).toBe(false);
    });
  });

  test("fish and zsh, and shells that we do not know", async () => {
    await withHome(async (home) => {
      mkdirSync(join(home, ".config"));
      await sky(["--install-shell-completion", "fish"], { home });
      expect(existsSync(join(home, ".config/fish/completions/sky.fish"))).toBe(true);
      await sky(["--install-shell-completion", "zsh"], { home });
      expect(readFileSync(join(home, ".zshrc"), "utf8")).toContain(". ~/.sky/.sky-complete.zsh\n");
      expect((await sky(["--install-shell-completion", "auto"], { home })).err).toBe(
        "Cannot auto-detect shell. Please specify shell explicitly.\n",
      );
      expect((await sky(["--install-shell-completion", "auto"], { home, env: { SHELL: "/bin/tcsh" } })).err).toBe(
        "Unsupported shell: tcsh\n",
      );
      expect((await sky(["--install-shell-completion", "tcsh"], { home })).code).toBe(2);
    });
  });
});
