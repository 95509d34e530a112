import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIni } from "../../../shared/ini.ts";
import { splitWords } from "../auth/section-name.ts";
import { editSection, profileHeader } from "./config-edit.ts";

describe("editSection", () => {
  it("starts a file", () => {
    expect(editSection("", { header: "default", options: { region: "us-east-1" } })).toBe(
      "[default]\nregion = us-east-1\n",
    );
  });

  it("adds a section at the end, after an empty line", () => {
    const text = "# mine\n[default]\nregion = a\n";
    expect(editSection(text, { header: "profile b", options: { region: "c" } })).toBe(
      `${text}\n[profile b]\nregion = c\n`,
    );
  });

  it("replaces options where they are and keeps comments, other options and other sections", () => {
    const text = "[profile a]\n# why\nregion = old\noutput = json\nrole_arn = x\n\n[profile b]\nregion = b\n";
    const edit = { header: "profile a", options: { region: "new" }, remove: ["role_arn"] };
    expect(editSection(text, edit)).toBe(
      "[profile a]\n# why\noutput = json\nregion = new\n\n[profile b]\nregion = b\n",
    );
  });

  it("drops the block below an option that goes", () => {
    const text = "[default]\ns3 =\n  a = 1\n  b = 2\nregion = x\n";
    const edit = { header: "default", options: { output: "json" }, remove: ["s3"] };
    expect(editSection(text, edit)).toBe("[default]\nregion = x\noutput = json\n");
  });

  it("keeps Windows line ends", () => {
    expect(editSection("[a]\r\nx = 1\r\n", { header: "a", options: { x: "2" } })).toBe("[a]\r\nx = 2\r\n");
  });

  it("is read back as it was set, and leaves the other sections' options alone", () => {
    const name = fc.constantFrom("region", "output", "sso_session", "role_arn");
    const value = fc.stringMatching(/^[\w:/.-]{1,12}$/u);
    const section = fc.dictionary(name, value, { maxKeys: 4 });
    fc.assert(
      fc.property(section, section, section, (own, other, edit) => {
        const before = [
          { header: "profile a", options: own },
          { header: "profile b", options: other },
        ].reduce(editSection, "");
        const after = parseIni(editSection(before, { header: "profile a", options: edit }));
        expect(Object.fromEntries(after.get("profile a") ?? [])).toEqual({ ...own, ...edit });
        expect(Object.fromEntries(after.get("profile b") ?? [])).toEqual(other);
      }),
    );
  });
});

describe("profileHeader", () => {
  it.each(["dev", "my team", 'quo"te', "back\\slash", "ünï"])("%s is read back", (profile) => {
    const header = [...parseIni(`[${profileHeader(profile)}]\n`).keys()][0] ?? "";
    expect(splitWords(header)).toEqual(["profile", profile]);
  });

  it("leaves default bare", () => {
    expect(profileHeader("default")).toBe("default");
  });
});
